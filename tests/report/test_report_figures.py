"""What a figure draws is what its CSV holds, and both are what the predictions say."""

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

from conftest import Built
from hilum.report import history, palette, run_folder, sections, style
from hilum.report.figures import confusion, gallery, registry, sources
from hilum.report.run_folder import RunFolder


@pytest.fixture(scope="module")
def run(study: Built) -> RunFolder:
    return run_folder.read_run(study.folder)


def stored(run: RunFolder, name: str) -> pd.DataFrame:
    return pd.read_csv(run.folder / "figures" / f"{name}.csv")


def drawn(run: RunFolder, name: str) -> Figure:
    made = registry.FIGURES[name].draw(run)
    assert made is not None
    return made.figure


def test_every_figure_was_visited(run: RunFolder) -> None:
    drawn = {row.name for row in registry.FIGURES.values() if not row.asked_as} - {
        "across",
        "blacked",
    }  # they have tests of their own
    assert len(drawn) == 7
    assert all((run.folder / "figures" / f"{name}.png").is_file() for name in drawn)


def test_confusion_matrix_is_that_of_sklearn(run: RunFolder) -> None:
    predictions = run.chosen()
    assert predictions is not None
    said = predictions[[f"p_{c}" for c in run.classes]].to_numpy().argmax(axis=1)
    truth = predictions["label"].map(run.classes.index)
    wanted = confusion_matrix(truth, said)
    table = stored(run, "confusion")
    assert list(table["truth"]) == run.classes
    np.testing.assert_array_equal(table[run.classes].to_numpy(), wanted)
    words = [text.get_text() for text in drawn(run, "confusion").axes[0].texts]
    shares = wanted / wanted.sum(axis=1, keepdims=True)
    assert words[0::2] == [str(n) for n in wanted.ravel()]
    assert words[1::2] == [f"{share:.1%}" for share in shares.ravel()]


def test_roc_lines_are_the_csv_and_sklearns(run: RunFolder) -> None:
    predictions, table = run.chosen(), stored(run, "roc")
    assert predictions is not None
    lines = drawn(run, "roc").axes[0].lines[1:]  # the first is chance
    assert len(lines) == 4
    for line, name in zip(lines, run.classes, strict=True):
        mine = table[table["class"] == name]
        np.testing.assert_allclose(line.get_xdata(), mine["false_positive_rate"], atol=1e-12)
        np.testing.assert_allclose(line.get_ydata(), mine["true_positive_rate"], atol=1e-12)
        yes, p = predictions["label"] == name, predictions[f"p_{name}"]
        x, y, _ = roc_curve(yes, p, drop_intermediate=False)
        np.testing.assert_allclose(mine["false_positive_rate"], x, atol=1e-12)
        np.testing.assert_allclose(mine["true_positive_rate"], y, atol=1e-12)
        assert f"{roc_auc_score(yes, p):.3f}" in str(line.get_label())


def test_precision_recall_lines_are_the_csv(run: RunFolder) -> None:
    table = stored(run, "precision_recall")
    axes = drawn(run, "precision_recall").axes[0]
    curves = [line for line in axes.lines if len(np.asarray(line.get_xdata())) > 2]
    for line, name in zip(curves, run.classes, strict=True):
        mine = table[table["class"] == name]
        np.testing.assert_allclose(line.get_xdata(), mine["recall"], atol=1e-12)
        np.testing.assert_allclose(line.get_ydata(), mine["precision"], atol=1e-12)
    shares = {round(float(line.get_ydata()[0]), 6) for line in axes.lines if line not in curves}
    assert shares == {round(n / 879, 6) for n in (255, 234, 242, 148)}


def test_reliability_shows_its_bins(run: RunFolder) -> None:
    table = stored(run, "reliability")
    upper, lower = drawn(run, "reliability").axes
    filled = table[table["n"] > 0]
    (line,) = [line for line in upper.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(line.get_xdata(orig=False), filled["confidence"])
    np.testing.assert_allclose(line.get_ydata(orig=False), filled["accuracy"])
    assert [bar.get_height() for bar in lower.patches] == list(table["n"])
    assert table["n"].sum() == 879


def test_histograms_add_up_to_the_classes(run: RunFolder) -> None:
    table = stored(run, "histograms")
    counts = table.groupby(["class", "truth"])["n"].sum().unstack()
    sizes = {"covid19": 255, "normal": 234, "bacterial_pneumonia": 242, "viral_pneumonia": 148}
    for name, n in sizes.items():
        assert tuple(counts.loc[name, ["own", "other"]]) == (n, 879 - n)
    axes = drawn(run, "histograms").axes[0]
    own = table[(table["class"] == "covid19") & (table["truth"] == "own")]["n"]
    np.testing.assert_allclose(axes.patches[-1].get_data().values, own / 255)


def test_training_curves_are_means_of_the_folds(run: RunFolder) -> None:
    table = stored(run, "training")
    assert run.history is not None
    assert len(table) == len(run.history)
    loss = drawn(run, "training").axes[0]
    mean = next(line for line in loss.lines if line.get_label() == "validation, mean")
    wanted = table[table["part"] == "validation"].groupby("step")["loss"].mean()
    np.testing.assert_allclose(mean.get_ydata(), wanted)


def test_epochs_count_on_through_stages() -> None:
    rows = pd.DataFrame(
        {"stage": ["head"] * 3 + ["all"] * 2, "epoch": [0, 1, 2, 0, 1], "part": ["train"] * 5}
    )
    rows = rows.assign(cell="a")
    assert list(history.with_steps(rows)["step"]) == [1, 2, 3, 4, 5]
    rows["epoch"] = [0, 1, 2, 3, 4]
    assert list(history.with_steps(rows)["step"]) == [1, 2, 3, 4, 5]


def test_sources_are_the_manifests(run: RunFolder) -> None:
    table = stored(run, "sources").set_index("class")
    assert run.manifest is not None
    wanted = run.manifest.groupby(["label", "source"]).size()
    for (name, source), n in wanted.items():
        assert table.loc[name, source] == n
    assert table.to_numpy().sum() == wanted.sum() == 879
    counts = sections.labels_by_source(run)
    assert counts is not None
    bars = [bar.get_width() for bar in sources.sources(counts).axes[0].patches]
    assert bars == list(counts.to_numpy().T.ravel())


def test_of_two_classes_both_roc_curves_are_drawn_as_the_caption_says(binary: Built) -> None:
    table = pd.read_csv(binary.folder / "figures" / "roc.csv")
    assert list(table["class"].unique()) == ["normal", "covid19"]
    assert "ROC curves, each class against the rest" in binary.page.text
    for name in ("precision_recall", "histograms"):
        other = pd.read_csv(binary.folder / "figures" / f"{name}.csv")
        assert list(other["class"].unique()) == list(table["class"].unique())


def test_one_class_alone_has_no_curves(run: RunFolder) -> None:
    predictions = run.predictions
    assert predictions is not None
    only = RunFolder(run.folder, run.results, predictions[predictions["label"] == "normal"])
    assert registry.FIGURES["roc"].draw(only) is None
    assert registry.FIGURES["precision_recall"].draw(only) is None
    assert registry.FIGURES["confusion"].draw(only) is not None


def test_many_classes_fit() -> None:
    names = [f"class number {i} with a name" for i in range(14)]
    counts = pd.DataFrame(np.eye(14, dtype=int) * 9, index=names, columns=names)
    width, height = confusion.confusion(counts).get_size_inches()
    assert width <= 9.2
    assert height <= 8
    assert len(set(palette.series(names))) == 14


def test_save_writes_a_small_palette_picture_and_its_data(tmp_path: Path) -> None:
    data = pd.DataFrame({"x": [0.0, 1.0], "y": [1 / 3, 1.0]})
    figure = style.blank(3, 2)
    figure.subplots().plot(data["x"], data["y"])
    path = style.save_figure(figure, data, tmp_path / "new", "line")
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "P", (600, 400))
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "new" / "line.csv"), data)


def _luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_has_the_contrast_of_wcag_aa(study: Built) -> None:
    assert _contrast("#000000", "#ffffff") == pytest.approx(21)
    light, dark = re.findall(r":root \{(.*?)\}", study.page.style, re.DOTALL)
    for theme in (light, dark):
        colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", theme))
        pairs = [(colours[name], colours["paper"]) for name in ("ink", "muted", "link")]
        for name in ("pass", "warn", "fail", "unknown"):
            soft = colours[f"{name}-soft"]
            pairs += [(colours[name], back) for back in (colours["paper"], soft)]
            pairs += [(colours["ink"], soft)]
        assert len(pairs) == 15
        for front, back in pairs:
            assert _contrast(front, back) >= 4.5
    for front in (palette.INK, palette.MUTED):  # of the figures
        assert _contrast(front, "#ffffff") >= 4.5


def test_worst_errors_are_found_by_a_plain_loop(run: RunFolder) -> None:
    predictions = run.chosen()
    assert predictions is not None
    twice = pd.concat([predictions, predictions.assign(seed=8)])
    rows = []
    for row in predictions.to_dict("records"):
        said = max(run.classes, key=lambda name: row[f"p_{name}"])
        if said != row["label"]:
            rows.append((row[f"p_{said}"], row["sample_id"], said))
    rows.sort(key=lambda row: -row[0])
    table = gallery.worst_errors(twice, run.classes)
    assert list(table["sample_id"]) == [row[1] for row in rows]
    assert list(table["prediction"]) == [row[2] for row in rows]
    np.testing.assert_allclose(table["probability"], [row[0] for row in rows])


def test_samples_come_from_every_source(run: RunFolder) -> None:
    strips = gallery.samples(run)
    assert [(strip.class_, strip.n) for strip in strips][:2] == [("COVID-19", 255), ("normal", 234)]
    assert {picture.source for picture in strips[0].pictures} == {
        "Cohen: Milan",
        "Cohen: Hannover",
        "Cohen: Radiopaedia",
    }
    assert all(len(strip.pictures) == gallery.SAMPLES for strip in strips)


def test_float_pixels_keep_their_grey() -> None:
    pixels = np.array([[0.0, 0.5], [1.0, 2.0]], dtype=np.float32)
    np.testing.assert_array_equal(gallery.eight_bits(pixels), [[0, 128], [255, 255]])
