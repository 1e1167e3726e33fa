"""The page as a whole: it parses, stands alone, says everything, and says what is recorded."""

import base64
import hashlib
import io
import itertools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jinja2
import pytest
from PIL import Image

from conftest import Built, build
from hilum.report import figure_csv, glossary, heading, render, run_folder
from hilum.report.figures import registry
from hilum.report.wording import class_name, interval, number, score_name
from hilum.types import NOTICE, HilumError, MissingError

FILES = ("predictions.csv", "splits.csv", "history.csv", "manifest.parquet")
FORBIDDEN = ("script", "iframe", "object", "embed", "link", "base", "form", "video", "audio")


@pytest.mark.parametrize("name", ["study", "binary", "hostile"])
def test_page_is_well_formed_and_stands_alone(name: str, request: pytest.FixtureRequest) -> None:
    built: Built = request.getfixturevalue(name)
    page = built.page
    assert page.faults == []
    assert built.html.startswith("<!doctype html>")
    assert [e.tag for e in page.elements if e.tag in FORBIDDEN] == []
    for element in page.elements:
        assert not [key for key in element.attributes if key.startswith("on") or key == "style"]
        assert "srcset" not in element.attributes
    pictures = page.all("img")
    assert len(pictures) >= 8
    assert all((e.attributes["src"] or "").startswith("data:image/") for e in pictures)
    assert all(e.attributes["alt"] for e in pictures)
    assert "url(" not in page.style
    assert "@import" not in page.style


def test_policy_allows_only_this_style_and_embedded_images(study: Built) -> None:
    page = study.page
    policy = next(
        e.attributes["content"] or ""
        for e in page.all("meta")
        if e.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_every_section_is_there_and_the_contents_lead_to_it(study: Built, binary: Built) -> None:
    for built in (study, binary):
        page = built.page
        ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
        assert len(ids) == len(set(ids))
        leads = [e.attributes["href"] or "" for e in page.all("a")]
        inside = {lead[1:] for lead in leads if lead.startswith("#")}
        assert inside == set(ids) - set(heading.FOLDED)  # these are opened by what is in them
        absent = {"questions", "study"} if built is study else {"questions", "published", "study"}
        assert set(heading.CONTENTS) - set(ids) == absent


def test_verdict_and_objections_come_first_and_reference_matter_is_folded(study: Built) -> None:
    page = study.page
    order = [e.attributes["id"] for e in page.all("section")]
    first = ["verdict", "published", "scores", "curves", "errors", "audits", "data"]
    assert order[: len(first)] == first
    assert order[-len(heading.FOLDED) :] == [*heading.FOLDED]
    verdict = study.html[: study.html.index('<section id="published"')]
    for words in ("6 audits:", "The source of an image alone gives away its label."):
        assert words in verdict
    for name in heading.FOLDED:
        assert f'<section id="{name}">\n<details><summary>' in study.html


def test_the_data_of_each_figure_are_one_click_away(study: Built) -> None:
    links = {e.attributes.get("download"): e.attributes["href"] or "" for e in study.page.all("a")}
    links.pop(None)
    stored = {path.name: path.read_text() for path in (study.folder / "figures").glob("*.csv")}
    assert set(links) == {*stored} - {"samples.csv"}  # whose pictures name nothing on the page
    embedded = 0
    for name, address in links.items():
        if address == f"figures/{name}":  # a long one
            assert len(stored[name]) > figure_csv.EMBEDDED
        else:
            text = base64.b64decode(address.removeprefix("data:text/csv;base64,")).decode()
            assert text == stored[name]
            embedded += 1
    assert embedded >= 6


def test_a_page_has_the_glossary_of_its_words(study: Built, binary: Built) -> None:
    def terms(built: Built) -> list[str]:
        text = built.html[built.html.index('id="glossary-more"') :]
        return re.findall("<dt>(.*?)</dt>", text[: text.index("</section>")])

    assert {"AUROC", "Sensitivity", "Backbone"} <= set(terms(study))
    assert set(terms(binary)) < {term.word for term in glossary.read_glossary()}
    assert "#glossary-more" in study.html[study.html.index("<footer>") :]


def test_headings_are_a_tree(study: Built) -> None:
    levels = [int(e.tag[1]) for e in study.page.elements if re.fullmatch("h[1-6]", e.tag)]
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(levels))


def test_the_scores_printed_are_those_of_results_json(study: Built) -> None:
    results = json.loads((study.folder / "results.json").read_text())
    rows = study.page.tables
    visited = 0
    for score in (s for s in results["scores"] if s["cell"] == results["model"]["cell"]):
        name, of = score_name(score["name"]), class_name(score["class"])
        if score["class"] in results["classes"]:
            heads = next(row for row in rows if row[:1] == ["Class"] and "Sensitivity" in row)
            mine = next(row for row in rows[rows.index(heads) :] if row[0] == of)
            cell = mine[heads.index(name)]
        else:
            cell = " ".join(next(row for row in rows if row[:2] == [name, of]))
        assert number(score["value"]) in cell
        assert interval(score) in cell
        if score["k"] is not None:
            assert f"{score['k']} of {score['n']}" in cell
        visited += 1
    assert visited == 5 + 6 * 4


def test_top_of_the_page(study: Built) -> None:
    results = json.loads((study.folder / "results.json").read_text())
    text = study.page.text
    assert text.count(NOTICE) >= 3
    assert results["verdict"] in text
    assert "Fails its audits" in text
    assert "6 audits: 2 failed, 1 warned, 2 passed, 1 could not be checked." in text
    assert "Mode corrected" in text
    assert "2026-03-14 15:09:26 UTC" in text
    assert "879 586 patients" in text
    accuracy = next(s for s in results["scores"] if s["name"] == "accuracy")
    assert f"{accuracy['k']} of 879" in text
    assert f"always answering “COVID-19” gives {255 / 879:.3f}" in text
    concerns = text[text.index("What speaks against") : text.index("Published and measured The")]
    assert re.findall(r"C-\d\d", concerns) == ["C-02", "C-01", "C-04"]  # as listed, by status


def test_facts_of_the_run_reach_the_page(study: Built) -> None:
    results: dict[str, Any] = json.loads((study.folder / "results.json").read_text())
    text, rows = study.page.text, study.page.tables
    for audit in results["audits"]:
        assert text.count(audit["sentence"]) == 1
        figure = "" if audit["value"] is None else f" {number(audit['value'])};"
        rule = f"{audit['id']} {audit['title']}{figure} {audit['rule']} {audit['reference']}"
        assert rule.strip() in text
    for words in (
        *results["limits"],
        *results["split"]["notes"],
        results["environment"]["command"],
        results["model"]["backbone"],
        *(card["citation"] for card in results["data"]["sets"].values()),
        "“COVID-19” shares no source with another class",
        "Not checked",
        "32 items left out.",
    ):
        assert words in text
    assert ["Accuracy", "Table 2", "0.9180"] in [row[:3] for row in rows]
    assert ["COVID-19", "0", "85", "85", "85"] in rows
    assert ["normal", "234", "0", "0", "0"] in rows
    assert any(row[:2] == ["4", "test"] for row in rows)


@pytest.mark.usefixtures("undrawn")
def test_without_split_and_history(copied: Path) -> None:
    (copied / "splits.csv").unlink()
    (copied / "history.csv").unlink()
    assert registry.FIGURES["training"].draw(run_folder.read_run(copied)) is None
    page = build(copied).page
    assert page.faults == []
    assert "The course of training (history.csv): not recorded in this run." in page.text
    assert "Images per fold, part and class" not in page.text
    assert ["fold", "part"] not in [row[:2] for row in page.tables]


def test_without_predictions_and_manifest(copied: Path) -> None:
    (copied / "predictions.csv").unlink()
    (copied / "manifest.parquet").unlink()
    page = build(copied).page
    assert page.faults == []
    assert page.text.count("Predictions: not recorded in this run.") == 2
    assert "Sample images: not recorded in this run." in page.text
    assert ["4", "test", "176"] in page.tables  # the split is known, the labels are not


def test_results_alone_make_a_report(copied: Path) -> None:
    for name in FILES:
        (copied / name).unlink()
    text = build(copied).page.text
    assert text.count("not recorded in this run") == 5
    assert "Fails its audits" in text


def test_an_empty_record_makes_a_report(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    built = build(tmp_path)
    assert built.page.faults == []
    assert "Verdict not recorded." in built.page.text
    assert "Not audited" in built.page.text
    assert NOTICE in built.page.text


@pytest.mark.usefixtures("undrawn")
def test_rebuilt_without_the_images_it_is_the_same(study: Built, tmp_path: Path) -> None:
    target = tmp_path / "study"
    shutil.copytree(study.folder, target)
    moved = json.dumps(str(study.folder.parent / "study-images"))[1:-1]
    table = (target / "predictions.csv").read_text()
    assert moved in table
    (target / "predictions.csv").write_text(table.replace(moved, "/nowhere"))
    (target / "manifest.parquet").unlink()  # its labels and paths are in the predictions too
    pictures = [e.attributes["src"] for e in build(target).page.all("img")]
    shown = [e.attributes["src"] or "" for e in study.page.all("img")]
    assert pictures == [src for src in shown if src.startswith("data:image/jpeg")]
    drawn = registry.FIGURES["confusion"].draw(run_folder.read_run(target))
    assert drawn is not None
    assert registry.store(target, "confusion", drawn).uri in shown


@pytest.mark.usefixtures("undrawn")
def test_images_that_are_gone_leave_a_frame(binary: Built, tmp_path: Path) -> None:
    for name in ("results.json", "predictions.csv"):
        text = (binary.folder / name).read_text().replace("-images/", "-gone/")
        (tmp_path / name).write_text(text)
    page = build(tmp_path).page
    frames = [e for e in page.elements if e.attributes.get("class") == "noimage"]
    wrong = len((tmp_path / "figures" / "worst_errors.csv").read_text().splitlines()) - 1
    assert len(frames) == 2 * 6 + wrong
    assert wrong >= 1
    assert all(e.attributes["role"] == "img" and e.attributes["aria-label"] for e in frames)


def test_quick_and_small(study: Built) -> None:
    assert study.seconds < 30  # generous: 4 s on a machine of one's own
    assert study.path.stat().st_size < 6e6


def test_embedded_figures_are_the_files_at_twice_the_page_size(study: Built) -> None:
    shown = {e.attributes["src"]: e for e in study.page.all("img")}
    files = sorted((study.folder / "figures").glob("*.png"))
    assert len(files) == 7
    for path in files:
        element = shown[f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"]
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            assert image.width // 2 == int(element.attributes["width"] or 0)
        assert path.with_suffix(".csv").is_file()
        assert path.stat().st_size < 120_000


def test_a_template_is_compiled_once_and_each_page_cuts_folders_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiling takes longer than a page; a template that has changed is compiled again."""
    (tmp_path / "report.css").write_text("")
    (tmp_path / "page").write_text("{{ words }}, {{ words | whole }}")
    compiled, before = [], jinja2.Environment.compile

    def counted(environment: jinja2.Environment, source: str, *rest: Any) -> Any:
        compiled.append(source)
        return before(environment, source, *rest)

    monkeypatch.setattr(jinja2.Environment, "compile", counted)
    monkeypatch.setattr(render, "TEMPLATES", tmp_path)
    values = {"words": "in /one of/a and /two of/a"}
    said = [render.render_template("page", values, [root]) for root in ("/one of", "/two of")]
    assert said[0] == ", ".join(["in …/one of/a and /two of/a"] * 2)
    assert said[1] == ", ".join(["in /one of/a and …/two of/a"] * 2)
    assert len(compiled) == 1
    (tmp_path / "page").write_text("now {{ words }}")
    assert render.render_template("page", values, ["/one of"]).startswith("now in")
    assert len(compiled) == 2


def test_no_results_no_report(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"results\.json") as raised:
        build(tmp_path)
    assert str(tmp_path) in str(raised.value)


@pytest.mark.parametrize("text", ["{not json", "[1, 2]"])
def test_broken_results_are_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(HilumError, match=r"results\.json must"):
        build(tmp_path)


def test_a_table_without_its_columns_is_refused(copied: Path) -> None:
    (copied / "splits.csv").write_text("sample_id,fold\na,0\n")
    with pytest.raises(HilumError, match=r"splits\.csv must have the columns .* without part"):
        build(copied)


def test_neither_pyplot_nor_torch_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    words = (
        "import sys; from pathlib import Path; from hilum import report; "
        f"report.build_report(Path({str(tmp_path)!r})); "
        "print([m for m in ('matplotlib.pyplot', 'torch', 'timm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_slower_audits_are_named_before_their_ids(tmp_path: Path) -> None:
    record = {"audits": [{"id": "C-01"}], "left_to_audit": ["C-05 (Half (or less) a film)", "C-17"]}
    (tmp_path / "results.json").write_text(json.dumps(record))
    assert "runs: Half (or less) a film (C-05), C-17." in build(tmp_path).html
