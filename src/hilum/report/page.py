"""The page: everything the run's folder tells, in one self-contained HTML file without scripts."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from hilum import files
from hilum.report import (
    figure_csv,
    glossary,
    heading,
    leak_check,
    predictive_values,
    score_basis,
    score_tables,
    sections,
)
from hilum.report import render as page
from hilum.report import run_folder as folder
from hilum.report.cards import key_facts
from hilum.report.figures import gallery, registry
from hilum.report.pool_table import pool_table
from hilum.report.printed_table import PrintedTable, printed_counts, printed_texts
from hilum.report.run_folder import RunFolder
from hilum.report.wording import (
    NOT_RECORDED,
    as_sentence,
    class_name,
    code,
    count,
    number,
    prose,
    title,
)

ROW = 6  # of the worst errors are seen at once
CITED = {
    "wilson": "Intervals of proportions: Wilson 1927, doi:10.1080/01621459.1927.10502953",
    "bootstrap": "Bootstrap intervals: Efron 1979, doi:10.1214/aos/1176344552",
    "delong": "Intervals of AUROC: DeLong, DeLong & Clarke-Pearson 1988, doi:10.2307/2531595",
}


def build_report(run_folder: Path) -> Path:
    """Write `report.html` and `figures/` from a finished run's files, and return the page's path.

    Works from the folder alone and as often as needed; what is not recorded is said to be so.
    Raises MissingError without `results.json`, HilumError for a file that cannot be read.
    """
    run = folder.read_run(Path(run_folder))
    text = render_page(context(run), page.roots(run))
    target = run.folder / "report.html"
    with files.atomic_write(target) as draft:
        draft.write_text(text, encoding="utf-8")
    return target


def render_page(values: Mapping[str, Any], roots: Sequence[str] = ()) -> str:
    """The page of a context: values escaped, styles allowed by their hash alone, no path whole.

    Its glossary holds the terms that the page uses. `roots`: folders whose names are cut.
    """
    bare = page.render_template("report.html.j2", {**values, "glossary": ()}, roots)
    used = glossary.used_in(page.visible_text(bare), glossary.read_glossary())
    return page.render_template("report.html.j2", {**values, "glossary": used}, roots)


def context(run: RunFolder) -> dict[str, Any]:
    """Everything that the template prints, section by section."""
    audits = sections.audits(run)
    published = score_tables.comparisons(run)
    figures = registry.draw_figures(run)
    questions = score_tables.further_questions(run)
    optional = {"published": published, "questions": questions, "study": figures["study"]}
    absent = [name for name, rows in optional.items() if not rows]
    return {
        **heading.heading(run),
        **heading.judgement(run, audits),
        **_data(run),
        **_split(run),
        **_scores(run),
        **_errors(run),
        **_closing(run),
        "contents": [item for item in heading.contents(run).items() if item[0] not in absent],
        "folded": heading.FOLDED,
        "published": published,
        "replication": prose(str(run.results.get("replication") or "")),
        "questions": questions,
        "audits": audits,
        "left_to_audit": sections.slower_audits(run),
        "figures": figures,
        "faults": run.faults,
    }


def _data(run: RunFolder) -> dict[str, Any]:
    samples = gallery.samples(run)
    if samples:
        _list(run, pd.concat([strip.rows for strip in samples]), "samples")
    sources, left_out = sections.labels_by_source(run), sections.left_out(run)
    return {
        "sets": [
            replace(one, title=heading.set_title(run, one.name, one.title))
            for one in sections.sets(run)
        ],
        "sources_recorded": sources is not None and not sources.empty,
        "one_source": _one_source(sources),
        "source_alone": _source_alone(sources),
        "samples": samples,
        "left_out": left_out,
        "left_out_total": count(sum(item.n for item in left_out), "item"),
        "left_out_listed": run.left_out is not None,
        "left_out_recorded": "left_out" in run.section("data"),
        "names_hidden": run.own_data,
    }


def _one_source(counts: pd.DataFrame | None) -> str:
    """A warning that names the classes none of whose sources holds another class."""
    if counts is None or len(counts) < 2:
        return ""
    single = counts.loc[:, (counts > 0).sum() == 1]
    alone = counts.index[(single.sum(axis=1) == counts.sum(axis=1)).to_numpy()]
    if alone.empty:
        return ""
    names = " and ".join(f"“{class_name(str(name))}”" for name in alone)
    share = "shares" if len(alone) == 1 else "each share"
    return f"{names} {share} no source with another class: the source alone gives the label away."


def _source_alone(counts: pd.DataFrame | None) -> str:
    """In the place of a chart with one bar: that there is one source, or that none is known."""
    if counts is None or len(counts.columns) != 1:
        return ""
    if str(counts.columns[0]) == NOT_RECORDED:
        return (
            "The source of every image is unknown: whether the source gives the label away "
            "cannot be checked."
        )
    return f"All images are from one source: {counts.columns[0]}."


def _split(run: RunFolder) -> dict[str, Any]:
    split = run.section("split")
    leaks = [(kind, [_leak(row) for row in rows]) for kind, rows in sections.leaks(run)]
    return {
        "split_facts": sections.division(run),
        "split_notes": [as_sentence(str(note)) for note in split.get("notes") or []],
        "parts": _parts(run),
        "leaks": leaks,
        "leaks_recorded": "leaks" in split,
        "leak_boxes": leak_check.boxes(run),
    }


def _parts(run: RunFolder) -> PrintedTable | None:
    table = sections.parts(run)
    return (
        None if table is None else printed_counts(table, None, "Images per fold, part and class", 2)
    )


def _leak(row: Mapping[str, Any]) -> list[str]:
    images = [gallery.identity({"sample_id": row.get(side)})[0] for side in ("first", "second")]
    parts = [str(row.get(f"{side}_part", "–")) for side in ("first", "second")]
    fold, distance = number(row.get("fold")), row.get("distance")
    return [fold, images[0], parts[0], images[1], parts[1], number(distance, 1)]


def _scores(run: RunFolder) -> dict[str, Any]:
    overall = score_tables.overall(run)
    chosen = score_tables.chosen_scores(run)
    return {
        "headlines": score_tables.headlines(run),
        "overall": [row for row in overall if not row.further],
        "further": [row for row in overall if row.further],
        "begin": f"{score_tables.start(run):g}",
        "by_class": score_tables.by_class(run),
        "by_pair": score_tables.by_pair(run),
        "by_cell": score_tables.by_cell(run),
        "failed": sections.failed_cells(run),
        "elsewhere": predictive_values.elsewhere(run),
        "prevalences": [
            "Class",
            "Value",
            *(f"at {share:.0%}" for share in predictive_values.PREVALENCES),
        ],
        "score_notes": [*score_basis.notes(chosen), *score_basis.stamps(chosen)],
        "interval_notes": score_basis.interval_notes(chosen),
    }


def _errors(run: RunFolder) -> dict[str, Any]:
    table, pictures = gallery.worst(run)
    data = _list(run, table, "worst_errors")
    predictions = run.chosen()
    n = 0 if predictions is None else predictions["sample_id"].nunique()
    seeds = 0 if predictions is None else predictions["seed"].nunique()
    mean = " (the mean over the seeds)" if seeds > 1 else ""
    return {
        "worst": pictures[:ROW],
        "further_worst": pictures[ROW:],
        "worst_data": data,
        "predictions_recorded": predictions is not None,
        "errors_text": (
            f"The model is wrong on {len(table):,} of {count(n, 'image')}; below, "
            f"{_surest(len(table), len(pictures))}. "
            "Look for letters, tubes and borders, and for labels that are wrong. "
            f"The number is the probability of the wrong prediction{mean}."
        ),
    }


def _surest(errors: int, shown: int) -> str:
    if errors == shown:
        return "this one" if errors == 1 else "all of them, the most confident first"
    return f"its {shown} most confident mistakes"


def _list(run: RunFolder, table: pd.DataFrame, name: str) -> str:
    """Store which images the page shows, with their codes; where the page finds this table."""
    coded = table.assign(code=[code("image", str(i)) for i in table["sample_id"]])
    (run.folder / "figures").mkdir(exist_ok=True)
    figure_csv.write_figure_csv(coded, run.folder / "figures" / f"{name}.csv")
    return figure_csv.csv_address(coded, name, run.own_data)


def _closing(run: RunFolder) -> dict[str, Any]:
    limits = run.results.get("limits")
    return {
        "model": key_facts.key_facts(run),
        "layers": _layers(run),
        "pool_choice": pool_table(run),
        "limits": [prose(str(limit)) for limit in limits] if isinstance(limits, list) else [],
        "environment": sections.pairs(run.section("environment")),
        "citations": [(item.title, item.citation) for item in sections.sets(run) if item.citation],
        "methods_cited": _methods(run),
    }


def _layers(run: RunFolder) -> PrintedTable | None:
    """The model's layers as a table."""
    layers = [row for row in run.section("model").get("layers") or [] if isinstance(row, Mapping)]
    if not layers:
        return None
    return printed_texts(pd.DataFrame(layers).rename(columns=title), "Layers of the model")


def _methods(run: RunFolder) -> list[str]:
    version = run.section("environment").get("hilum") or importlib.metadata.version("hilum")
    used = " ".join(str(row.get("method")).lower() for row in score_tables.chosen_scores(run))
    return [f"hilum {version}", *(text for key, text in CITED.items() if key in used)]
