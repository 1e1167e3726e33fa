"""A row of the table of metrics arrives everywhere: scores, results.json, report, compare, docs."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import brevity
from hilum import report
from hilum.cli.results import show
from hilum.cli.terminal import Terminal
from hilum.experiment import compare
from hilum.metrics import metrics, scores
from hilum.metrics.metrics import Array, Counts, TieSums
from hilum.metrics.registry import METRICS, Metric, find_metric
from hilum.types import Results

CLASSES = ("covid19", "normal", "pneumonia")
PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def youden(matrix: Counts) -> Array:
    """(..., class) sensitivity + specificity - 1. Youden 1950."""
    return metrics.sensitivity(matrix) + metrics.specificity(matrix) - 1


def gini(ties: TieSums) -> Array:
    """(...) 2 AUROC - 1."""
    return 2 * metrics.roc_area(ties) - 1


def distance(labels: np.ndarray, p: np.ndarray) -> Array:
    """(image, class) distance between probability and truth."""
    return np.abs(p - np.eye(p.shape[1])[labels])


def signed(labels: np.ndarray, p: np.ndarray) -> Array:
    """(image, 1) right (0 or 1) less confidence: all images in one bin."""
    return ((p.argmax(1) == labels) - p.max(1))[:, None]


YOUDEN = Metric(
    "youden", "Youden's J", "informedness", "counts", youden, ("each", "macro"),
    headline=0, brief=True, spread=True, compared=("each", "macro"),
)  # fmt: skip
GINI = Metric(
    "gini", "Gini index", "twice the AUROC less one", "ranking", gini, ("each", "macro"),
    compared=("macro",),
)  # fmt: skip
DISTANCE = Metric(
    "distance", "Distance", "mean absolute error", "losses", distance, ("each", "overall"),
    higher_is_better=False, compared=("overall",), aliases={"mae": "Absolute error"},
)  # fmt: skip
ONE_BIN = Metric(
    "one_bin", "Gap", "confidence against accuracy", "gaps", signed, ("overall",),
    higher_is_better=False, interval="basic", compared=("overall",),
)  # fmt: skip
MADE_UP = {row.name: row for row in (YOUDEN, GINI, DISTANCE, ONE_BIN)}


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, row in MADE_UP.items():
        monkeypatch.setitem(METRICS, name, row)


def predictions(noise: int = 0, n: int = 90) -> pd.DataFrame:
    """A predictions table of two folds, an image for each patient."""
    rng = np.random.default_rng([1, noise])
    truth = np.arange(n) % len(CLASSES)
    logits = rng.normal(size=(n, len(CLASSES)))
    logits[np.arange(n), truth] += 1.2
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    table = pd.DataFrame(
        {
            "cell": "only",
            "sample_id": [f"set/{i:03d}.png" for i in range(n)],
            "path": "image.png",
            "patient_id": [f"set:{i}" for i in range(n)],
            "source": "hospital",
            "fold": np.arange(n) // 3 % 2,
            "seed": 0,
            "label": [CLASSES[c] for c in truth],
        }
    )
    table[[f"p_{name}" for name in CLASSES]] = p
    return table


def finished(folder: Path, table: pd.DataFrame) -> tuple[Path, Results]:
    """What a run with these predictions leaves in its folder, as far as the report needs it."""
    folder.mkdir()
    found = scores.score(table, CLASSES, "only")
    results = Results(
        recipe="a recipe", mode="corrected", classes=list(CLASSES), n={}, scores=found,
        published=[], audits=[], verdict="A verdict.", environment={},
        data={"left_out": []}, split={}, model={"cell": "only"}, limits=[],
    )  # fmt: skip
    (folder / "results.json").write_text(json.dumps(results.as_json()))
    table.to_csv(folder / "predictions.csv", index=False)
    return folder, results


@pytest.mark.usefixtures("made_up")
def test_a_row_is_scored_with_intervals() -> None:
    table = predictions()
    found = {(s.name, s.class_): s for s in scores.score(table, CLASSES, "only")}
    labels = table["label"].map(CLASSES.index).to_numpy()
    p = table[[f"p_{name}" for name in CLASSES]].to_numpy()
    for c in (*CLASSES, "macro"):
        both = found["sensitivity", c].value + found["specificity", c].value
        assert found["youden", c].value == pytest.approx(both - 1)
        assert found["gini", c].value == pytest.approx(2 * found["auroc", c].value - 1)
    expected = np.abs(p - np.eye(3)[labels]).sum(1).mean()
    assert found["distance", "overall"].value == pytest.approx(expected)
    gap = abs((p.argmax(1) == labels).mean() - p.max(1).mean())
    assert found["one_bin", "overall"].value == pytest.approx(gap)
    assert found["one_bin", "overall"].method.endswith("basic")
    for name in MADE_UP:
        own = [score for (kind, _), score in found.items() if kind == name]
        assert own
        assert all(s.low is not None and s.low < s.high for s in own), name
    assert ("youden (sd of folds)", "macro") in found


@pytest.mark.usefixtures("made_up")
def test_a_row_arrives_in_results_report_and_terminal(tmp_path: Path) -> None:
    folder, results = finished(tmp_path / "run", predictions())
    plain = json.loads((folder / "results.json").read_text())
    assert {row["name"] for row in plain["scores"]} >= set(MADE_UP)
    with brevity.no_figures():
        page = report.build_report(folder).read_text(encoding="utf-8")
    start = page.index('class="headlines"')
    head = page[start : page.index("</ul>", start)]
    assert head.index("Youden&#39;s J, macro") < head.index("Accuracy")
    body = page[page.index('id="scores"') :]
    for row in MADE_UP.values():
        assert row.title.replace("'", "&#39;") in body
    bars = {
        row.title: 'class="bar"' in _cells(body, row.title) for row in (GINI, DISTANCE, ONE_BIN)
    }
    assert [*bars.values()] == [True, False, False]  # no bar from bad to good of an error
    out = Console(file=io.StringIO(), width=200)
    show(results, folder, Terminal(out=out))
    assert "Youden's J, macro" in out.file.getvalue()
    assert "Gini" not in out.file.getvalue()


def _cells(page: str, title: str) -> str:
    """The row of the table over all classes that a score's title begins."""
    begin = page.index(f'<tr><th scope="row">{title}</th>')
    return page[begin : page.index("</tr>", begin)]


@pytest.mark.usefixtures("made_up")
def test_a_row_is_compared(tmp_path: Path) -> None:
    first, _ = finished(tmp_path / "first", predictions())
    second, _ = finished(tmp_path / "second", predictions(noise=2))
    rows = {(row.name, row.class_): row for row in compare.compare_runs(first, second).differences}
    assert {("youden", c) for c in (*CLASSES, "macro")} <= set(rows)
    for key in (
        ("youden", "macro"),
        ("gini", "macro"),
        ("distance", "overall"),
        ("one_bin", "overall"),
    ):
        assert rows[key].difference == pytest.approx(rows[key].second - rows[key].first)
        assert rows[key].low < rows[key].high
        assert 0 < rows[key].p <= rows[key].p_holm <= 1
    assert ("gini", "normal") not in rows


@pytest.mark.usefixtures("made_up")
def test_a_row_is_known_by_the_names_that_papers_give_it() -> None:
    assert find_metric("mae") is METRICS["distance"]
    assert find_metric("distance") is METRICS["distance"]
    assert find_metric("mask_ok") is None


def test_the_page_lists_every_row() -> None:
    """docs/metrics.md is the table; run this test to see what it lacks."""
    listed = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:3] == "| `"]
    assert listed == [_line(row) for row in METRICS.values()]
    assert len(listed) == 14


def _line(row: Metric) -> str:
    names = ", ".join(f"`{name}`" for name in (row.name, *row.aliases))
    interval = "Wilson" if row.share else {"delong": "DeLong"}.get(row.interval, row.interval)
    better = "higher" if row.higher_is_better else "lower"
    scopes = ", ".join("each class" if scope == "each" else scope for scope in row.scopes)
    return f"| {names} | {row.title} | {row.definition} | {scopes} | {better} | {interval} |"
