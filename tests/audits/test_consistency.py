"""The checker finds what is impossible in published tables, and nothing in tables that are true."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hilum.audits import published_arithmetic, published_table
from hilum.metrics import metrics
from hilum.types import HilumError

ZHANG = "Cohen 255 COVID + Kermany 234/242/148 (lung-masked)"
# study 003, Table 2: precision, recall, F1
ZHANG_TABLE = {
    "COVID-19": (0.9378, 0.9825, 0.9596),
    "Normal": (0.9821, 0.9867, 0.9843),
    "Bacterial pneumonia": (0.8927, 0.8845, 0.8886),
    "Viral pneumonia": (0.889, 0.8658, 0.8772),
}
YAMANI = "COVID-Xray-5k (Cohen + CheXpert), test 100/3000"


def row(class_: str, metric: str, value: object, where: str = "Table 1") -> dict[str, str]:
    return {"class": class_, "metric": metric, "value": str(value), "where": where}


def run(rows: list[dict[str, str]], dataset: str) -> published_arithmetic.Consistency:
    same = {"study": "x", "dataset": dataset, "model": "net", "init": "i", "freeze": "f"}
    table = pd.DataFrame([same | one for one in rows])
    return published_arithmetic.check_arithmetic(
        *published_table.parse_published_table(table[list(published_table.COLUMNS)])
    )


def found(rows: list[dict[str, str]], dataset: str) -> list[tuple[str, str, str]]:
    return [(v.kind, v.metric, v.class_) for v in run(rows, dataset).violations]


def zhang_rows() -> list[dict[str, str]]:
    names = ("precision", "recall", "f1")
    return [
        row(class_, name, value)
        for class_, values in ZHANG_TABLE.items()
        for name, value in zip(names, values, strict=True)
    ]


def test_study_003_has_four_flaws() -> None:
    """S3-22, with the accuracy that the abstract claims."""
    rows = [*zhang_rows(), row("4-class", "accuracy", 0.918, "abstract")]
    assert found(rows, ZHANG) == [
        ("share", "sensitivity", "Bacterial pneumonia"),
        ("share", "sensitivity", "Viral pneumonia"),
        ("f1", "f1", "Normal"),
        ("accuracy", "accuracy", "4-class"),
    ]
    sentences = [v.sentence for v in run(rows, ZHANG).violations]
    assert "0.98439" in sentences[2]
    assert "0.9370 (unweighted 0.9299)" in sentences[3]
    honest = [*zhang_rows(), row("4-class", "accuracy", 0.937, "abstract")]
    assert "accuracy" not in {kind for kind, *_ in found(honest, ZHANG)}


def test_study_004_has_two_impossible_sensitivities() -> None:
    """S4-12: 97.6 and 94.3 % of 100 images; the specificities are whole numbers of 3,000."""
    points = ((0.10, 1.0, 0.725), (0.15, 0.976, 0.899), (0.20, 0.943, 0.919), (0.25, 0.9, 0.956))
    rows = []
    for t, sensitivity, specificity in points:
        rows += [row("COVID-19", f"sensitivity@{t:.2f}", sensitivity)]
        rows += [row("Non-COVID", f"specificity@{t:.2f}", specificity)]
    result = run(rows, YAMANI)
    assert [v.metric for v in result.violations] == ["sensitivity", "sensitivity"]
    assert "97 of 100 is 0.9700" in result.violations[0].sentence
    assert "0.943" in result.violations[1].sentence
    assert result.checks >= 16


@pytest.mark.parametrize(
    ("counts", "covid", "normal", "accuracy"),
    [
        ((25, 2, 17, 280), (0.93, 0.6, 0.72), (0.94, 0.99, 0.97), 0.94),
        ((27, 1, 15, 281), (0.96, 0.64, 0.77), (0.95, 1.0, 0.97), 0.95),
        ((37, 1, 5, 281), (0.97, 0.88, 0.93), (0.98, 1.0, 0.99), 0.98),
        ((38, 3, 4, 279), (0.93, 0.9, 0.92), (0.99, 0.99, 0.99), 0.98),
    ],
)
def test_study_002_is_possible_and_its_neighbours_are_not(
    counts: tuple[int, ...],
    covid: tuple[float, ...],
    normal: tuple[float, ...],
    accuracy: float,
) -> None:
    """S2-17: F1 = 74/80 printed as 0.93 is rounding, no flaw; one digit more anywhere is one."""
    dataset = "Cohen 140 COVID + Kermany/Mooney 939 NORMAL; test 42/282"
    names = ("precision", "recall", "f1")
    rows = [row("COVID-19", n, v) for n, v in zip(names, covid, strict=True)]
    rows += [row("NORMAL", n, v) for n, v in zip(names, normal, strict=True)]
    rows += [row("overall", "accuracy", accuracy)]
    rows += [row("COVID-19", n, k) for n, k in zip(("TP", "FP", "FN", "TN"), counts, strict=True)]
    assert found(rows, dataset) == []
    for i in range(7):
        value = float(rows[i]["value"])
        broken = [*rows[:i], rows[i] | {"value": f"{value - 0.02:.2f}"}, *rows[i + 1 :]]
        kinds = {kind for kind, *_ in found(broken, dataset)}
        assert "counts" in kinds
    missing = [*rows[:7], rows[7] | {"value": str(counts[0] - 1)}, *rows[8:]]
    assert ("counts", "TP + FN", "COVID-19") in found(missing, dataset)


def test_real_tables_give_exactly_the_known_flaws(shared: Path) -> None:
    path = shared.parent / "spec" / "published_results.csv"
    if not path.is_file():
        pytest.skip("the published results are not on this machine")
    result = published_arithmetic.check_table(path)
    assert [(v.study, v.kind, v.class_) for v in result.violations] == [
        ("003", "share", "Bacterial pneumonia"),
        ("003", "share", "Viral pneumonia"),
        ("003", "f1", "Normal"),
        ("003", "accuracy", "4-class"),
        ("004", "share", "COVID-19"),
        ("004", "share", "COVID-19"),
    ]
    assert result.checks > 150
    assert {left.reason for left in result.left_out} >= {"not a number"}


@pytest.mark.parametrize("digits", [2, 3, 4])
@pytest.mark.parametrize("counts", [True, False])
def test_true_tables_raise_no_alarm(digits: int, counts: bool) -> None:
    """Random confusion matrices, printed as papers print them: nothing may be found but luck.

    Where no counts are shown, F1 is judged by how few roundings explain it, at the rate RARE.
    """
    rng = np.random.default_rng(digits)
    alarms = 0
    for _ in range(24):
        matrix = rng.integers(0, 90, (2, 2)) + np.eye(2, dtype=int) * 60
        rows = _print(matrix, digits, counts)
        alarms += len(found(rows, f"test {matrix[0].sum()}/{matrix[1].sum()}"))
    assert alarms <= (0 if counts else 1)


def _print(matrix: np.ndarray, digits: int, counts: bool) -> list[dict[str, str]]:
    figures = {
        "precision": metrics.precision,
        "recall": metrics.sensitivity,
        "specificity": metrics.specificity,
        "f1": metrics.f1,
    }
    rows = [
        row(class_, name, round(float(figure(matrix)[c]), digits))
        for c, class_ in enumerate(("ill", "well"))
        for name, figure in figures.items()
    ]
    rows.append(row("overall", "accuracy", round(float(metrics.accuracy(matrix)), digits)))
    if counts:
        one = metrics.one_vs_rest(matrix)
        rows += [row("ill", n.upper(), int(v[0])) for n, v in one._asdict().items()]
    return rows


def test_invented_figures_are_mostly_caught() -> None:
    """Three-digit recalls out of the air, 40 images: only 41 of 1,001 are possible."""
    rng = np.random.default_rng(0)
    rows = [
        row(class_, f"recall@{t}", f"{rng.random():.3f}")
        for t in range(100)
        for class_ in ("a", "b")
    ]
    assert len(found(rows, "test 40/40")) > 185


def test_an_accuracy_is_judged_only_by_the_recalls_of_all_classes() -> None:
    """Recalls of 0.9 and 0.8 on as many images give 0.85; one of them alone gives nothing."""
    dataset = "two classes, test 100/100"
    named = [row("a", "sensitivity", "0.90"), row("b", "precision", "0.80")]
    accuracy = row("overall", "accuracy", "0.95")
    assert found([*named, accuracy], dataset) == []
    both = [*named, row("b", "sensitivity", "0.80")]
    assert [kind for kind, *_ in found([*both, accuracy], dataset)] == ["accuracy"]
    assert found([*both, row("overall", "accuracy", "0.85")], dataset) == []


def test_shares_at_the_printed_precision() -> None:
    figure = published_table.PrintedRate("a", "sensitivity", "", 0.67, 0.005, "", "")
    assert [n for n in range(1, 13) if published_arithmetic.is_share(figure, n)] == [3, 6, 9, 12]
    half = published_table.PrintedRate("a", "sensitivity", "", 0.13, 0.005, "", "")
    assert published_arithmetic.is_share(half, 8)  # 0.125 prints as 0.12 or 0.13


def test_share_of_roundings_by_simulation() -> None:
    rng = np.random.default_rng(1)
    f1 = published_table.PrintedRate("a", "f1", "", 0.93, 0.005, "", "")
    p = published_table.PrintedRate("a", "precision", "", 0.97, 0.005, "", "")
    r = published_table.PrintedRate("a", "sensitivity", "", 0.88, 0.005, "", "")
    a, b = rng.uniform(0.965, 0.975, 200_000), rng.uniform(0.875, 0.885, 200_000)
    value = 2 * a * b / (a + b)
    expected = ((value >= 0.925) & (value <= 0.935)).mean()
    assert published_arithmetic.explained(f1, p, r) == pytest.approx(expected, abs=0.003)


def test_zeros_at_the_end_are_restored_per_table() -> None:
    """0.6 beside 0.93 is 0.60; beside nothing it is 0.6."""
    rows = [row("a", "recall", 0.6), row("b", "recall", 0.93), row("a", "f1", 0.6, "Fig. 2")]
    same = {"study": "x", "dataset": "", "model": "net", "init": "i", "freeze": "f"}
    experiments, _ = published_table.parse_published_table(
        pd.DataFrame([same | one for one in rows])
    )
    assert [figure.half for figure in experiments[0].figures] == [0.005, 0.005, 0.05]
    assert "0.60" in experiments[0].figures[0].shown


def test_what_cannot_be_checked_is_listed() -> None:
    rows = [
        row("a", "auc", 0.9),
        row("a", "recall", ">0.95"),
        row("a", "TP", 2.5),
        row("a", "recall", "nan"),
    ]
    result = run([*rows, row("a", "recall", 97.5)], "")
    assert [left.reason for left in result.left_out] == [
        "'auc' is not a rate or a count that can be checked",
        "not a number",
        "a count must be a whole number of images",
        "not a number",
    ]
    assert [v.kind for v in result.violations] == ["range"]


def test_sizes_may_be_rows_of_their_own() -> None:
    rows = [row("a", "recall", 0.976), row("b", "recall", 0.5)]
    stated = [row("a", "n", 100), row("b", "n", 80)]
    assert found(rows, "no numbers here, 8h65y v2") == []
    assert found([*rows, *stated], "") == [("share", "sensitivity", "a")]


def test_files_that_are_no_such_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HilumError, match=r"absent\.csv"):
        published_arithmetic.check_table(tmp_path / "absent.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(HilumError, match="without study"):
        published_arithmetic.check_table(tmp_path / "other.csv")
    (tmp_path / "empty.csv").write_text(",".join(published_table.COLUMNS) + "\n")
    with pytest.raises(HilumError, match=r"empty\.csv' without any"):
        published_arithmetic.check_table(tmp_path / "empty.csv")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    with pytest.raises(HilumError, match=r"binary\.csv"):
        published_arithmetic.check_table(tmp_path / "binary.csv")


def test_a_table_without_a_rate_or_a_count_has_nothing_to_check() -> None:
    result = run([row("a", "auc", 0.9), row("b", "recall", "high")], "test 40/40")
    assert (result.violations, result.checks) == ((), 0)
    assert [left.what for left in result.left_out] == ["x: auc of a = 0.9", "x: recall of b = high"]


def test_counts_must_add_up_only_where_it_is_known_how_many_were_tested() -> None:
    """41 of a class of 42; without "test" the numbers are of the whole data set."""
    rows = [row("a", "TP", 30), row("a", "FN", 11), row("b", "recall", "0.90")]
    rows.append(row("a", "recall", "0.73"))
    assert found(rows, "test 42/282") == [("counts", "TP + FN", "a")]
    assert found(rows, "140 of one, 939 of the other") == []


def test_the_template_explains_itself_and_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    published_table.write_template(path)
    with path.open(encoding="utf-8", newline="") as file:
        head, *remarks = csv.reader(file)
    assert tuple(head) == published_table.COLUMNS
    assert all(first.startswith("# ") and not any(rest) for first, *rest in remarks)
    explained = [f"# {name}: {words}" for name, words in published_table.EXPLAINED.items()]
    assert [first for first, *_ in remarks][: len(explained)] == explained
    example, skipped = remarks[len(explained) :]
    (cells,) = csv.reader([example[0].removeprefix("# for example: ")])
    assert tuple(cells) == published_table.EXAMPLE
    assert skipped[0] == "# rows that begin with # are skipped"
    before = path.read_bytes()
    (tmp_path / "link.csv").symlink_to(tmp_path / "nowhere.csv")
    for there in (path, tmp_path / "link.csv"):
        with pytest.raises(HilumError, match=f"{there.name}', which exists; name another"):
            published_table.write_template(there)
    assert path.read_bytes() == before
