"""Strings that attack the page, the spreadsheet or the figures; names that identify people."""

import csv
import json
import shutil
from pathlib import Path

import fixture_run
import pandas as pd
import pytest

from conftest import Built, Page, build
from hilum.report import figure_csv, render
from hilum.report import page as html
from hilum.report.figures import base
from hilum.report.wording import short_label

STARTS = ("=", "+", "-", "@", "\t", "\r")


def test_no_hostile_string_becomes_markup(hostile: Built, study: Built) -> None:
    page = hostile.page
    # html.parser reads <script> as a tag wherever it is not escaped
    assert not [e for e in page.elements if e.tag in ("script", "b onload", "iframe")]
    assert not [e for e in page.elements if {"onload", "onerror"} & set(e.attributes)]
    assert [e for e in page.all("img") if e.attributes["src"] == "x"] == []
    assert {e.tag for e in page.elements} <= {e.tag for e in study.page.elements}
    assert "<script" not in hostile.html.lower()
    assert page.text.count("<script>") > 100  # they are all there, as text
    for name in fixture_run.HOSTILE:
        assert " ".join(name.split()) in page.text
    assert "{{ 7*7 }}" in page.text


def test_a_hundred_hostile_names_at_once() -> None:
    payloads = [
        f"{head}{i}{tail}"
        for i in range(25)
        for head, tail in (
            ("<script>alert(", ")</script>"),
            ('"><svg onload=alert(', ")>"),
            ("</style><script>", "</script>"),
            ("javascript:alert('", "')//<img src=x onerror=1>"),
        )
    ]
    run = html.folder.RunFolder(
        folder=Path("nowhere"),
        results={
            "title": payloads[0],
            "verdict": payloads[1],
            "limits": payloads,
            "audits": [
                {"id": p, "status": p, "sentence": p, "rule": p, "reference": p} for p in payloads
            ],
            "data": {"sets": {p: {"title": p, "licence": p, p: p} for p in payloads}},
            "model": dict.fromkeys(payloads, payloads),
            "environment": {p: {p: p} for p in payloads},
        },
    )
    audits = html.sections.audits(run)
    values = html.heading.heading(run) | html.heading.judgement(run, audits) | html._closing(run)
    empty = {
        "published": [], "sources_recorded": False, "one_source": "", "source_alone": "",
        "samples": [], "left_out": [], "headlines": [], "further_worst": [], "worst_data": "",
        "folded": html.heading.FOLDED,
        "left_out_total": "", "left_out_listed": False, "failed": [],
        "faults": (), "left_out_recorded": False, "names_hidden": False,
        "split_facts": [], "split_notes": [], "parts": None, "leaks": [],
        "leaks_recorded": False, "leak_boxes": [], "overall": [],
        "further": [], "by_class": html.score_tables.by_class(run), "elsewhere": [],
        "by_pair": [],
        "prevalences": [],
        "by_cell": None, "interval_notes": [], "score_notes": [], "begin": "0", "worst": [],
        "predictions_recorded": False, "errors_text": "",
        "figures": {section: [] for section in base.SECTIONS},
        "contents": [*html.heading.CONTENTS.items()], "questions": [
            {"title": p, "reason": reason, "verdict": p, "figures": [(p, p, p)],
             "report": "tasks/a"}
            for p in payloads for reason in (p, None)
        ],
        "audits": audits, "left_to_audit": payloads[:1],
        "sets": html.sections.sets(run),
    }  # fmt: skip
    page = Page(html.render_page(values | empty))
    assert page.faults == []
    assert page.all("script") == []
    assert not [e for e in page.elements if {"onload", "onerror"} & set(e.attributes)]
    assert all(p in page.text for p in payloads)


@pytest.mark.parametrize("start", STARTS)
def test_a_cell_that_a_spreadsheet_would_run_gets_an_apostrophe(start: str, tmp_path: Path) -> None:
    bad = f"{start}cmd|'/C calc'!A0"
    table = pd.DataFrame({bad: [bad, "kind"], "n": [-1.5, 2.0]})
    path = figure_csv.write_figure_csv(table, tmp_path / "t.csv")
    with path.open(newline="") as lines:
        rows = list(csv.reader(lines))
    shown = "'" + bad.replace("\r", " ")
    assert rows == [[shown, "n"], [shown, "-1.5"], ["kind", "2.0"]]


def test_numbers_and_two_equal_headings_stay_as_they_are(tmp_path: Path) -> None:
    table = pd.DataFrame([[-1, "-"]], columns=["a", "a"])
    assert figure_csv.write_figure_csv(table, tmp_path / "t.csv").read_text() == "a,a\n-1,'-\n"


def test_no_csv_of_a_hostile_run_holds_a_formula(hostile: Built) -> None:
    files = sorted((hostile.folder / "figures").glob("*.csv"))
    assert len(files) == 9 + 3
    quoted = 0
    for path in files:
        with path.open(newline="") as lines:
            cells = [cell for row in csv.reader(lines) for cell in row]
        risky = [cell for cell in cells if cell.startswith(STARTS)]
        assert all(float(cell) < 0 for cell in risky)
        quoted += sum(cell.startswith("'=") for cell in cells)
    assert quoted > 20


def test_names_in_figures_are_printable_short_and_visible() -> None:
    assert short_label("_hidden").strip("\u2009") == "_hidden"
    assert not short_label("_hidden").startswith("_")
    assert short_label("a\nb\x00c\u202ed") == "a b c d"
    assert short_label("x" * 100) == "x" * 23 + "…"
    assert short_label(" \n ") == "(no name)"


@pytest.mark.usefixtures("undrawn")
def test_own_files_appear_under_codes_whose_key_stays_in_the_folder(tmp_path: Path) -> None:
    folder = fixture_run.binary(tmp_path / "run")
    table = pd.read_csv(folder / "predictions.csv")
    table["sample_id"] = [f"dicom/DOE^JANE^{i}.dcm" for i in range(len(table))]
    table["patient_id"] = [f"dicom:PID-CANARY-{i}" for i in range(len(table))]
    table.to_csv(folder / "predictions.csv", index=False)
    results = json.loads((folder / "results.json").read_text())
    results["data"] = {"left_out": [{"what": "DOE^JANE.dcm", "reason": "a lateral view"}]}
    ids = {"first": "dicom/DOE^JANE^1.dcm", "second": "dicom/DOE^JANE^2.dcm"}
    results["split"] = {"leaks": [{"kind": "same bytes", "fold": 0, **ids}]}
    (folder / "results.json").write_text(json.dumps(results))
    built = build(folder)
    assert "wrong" in built.readable  # hence the embedded table of the worst errors
    assert "DOE" not in built.readable
    assert "CANARY" not in built.readable
    assert "1 × a lateral view" in built.page.text
    key = pd.read_csv(folder / "figures" / "worst_errors.csv")
    assert len(key) >= 1
    assert all(code in built.page.text for code in key["code"])
    assert key["sample_id"].str.startswith("dicom/DOE").all()
    samples = pd.read_csv(folder / "figures" / "samples.csv")
    assert len(samples) == 12
    shutil.rmtree(folder)


def test_an_audits_number_does_not_break_and_nothing_gets_past_the_escape() -> None:
    assert render.unbroken("<b>C-21</b> fails in /home/someone/films") == (
        '&lt;b&gt;<span class="nowrap">C-21</span>&lt;/b&gt; fails in …/films'
    )
