"""`make docs-pictures`: the pictures of explanation pages and README, from runs on synthetic films.

    python docs/site/draw_pictures.py [NAME...]

Each function trains on films whose truth is known and draws what that run found. What a picture
shows is also printed, so that its caption can be compared with it.
"""

import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset

import hilum
from hilum import phantom
from hilum.inference.temperature import apply_temperature
from hilum.metrics import curves
from hilum.report.contact_sheet import show_film
from hilum.report.palette import INK, MUTED, OKABE_ITO
from hilum.report.style import blank, style, unit_axes
from hilum.types import shown_probability

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
COLOURS = 160
EACH = 2  # films of either class
SCREEN = {"width": 1280, "height": 1530}  # pixels of the report that are shown
CLASSES = ["covid19", "normal"]
COLOUR = {"covid19": OKABE_ITO["vermillion"], "normal": OKABE_ITO["blue"]}
MARK = {"covid19": "o", "normal": "s"}
WORDS = {"covid19": "COVID-19", "normal": "normal"}


def shortcut(folder: Path) -> Figure:
    """Two classifiers of hospitals that give the diagnosis away: one never sees the lungs."""
    films = "images=240, seed=1, shortcut=1.0, severity=0.1, images_per_patient=1"
    steps = 'prepare.steps=[{step="hide_lungs", box=true}, {step="letterbox"}]'
    runs = {folder / "whole": (), folder / "hidden": (steps,)}
    with style():
        figure = blank(6.6, 4.0)
        rows = figure.subplots(2, 2 * EACH)
    for axes, (out, changes) in zip(rows, runs.items(), strict=True):
        right = _score(_train(out, films, *changes), "accuracy")
        print(out.name, right)
        table, model = pd.read_csv(out / "predictions.csv"), hilum.load_model(out)
        for i, path in enumerate(_some_of_each(table)):
            answer = model.predict(path)
            label = table.loc[table["path"] == path, "label"].iloc[0]
            said = max(answer.probabilities, key=answer.probabilities.__getitem__)
            words = f"answer: {WORDS[said]}\np {shown_probability(answer.probabilities[said])}"
            print(label, words)
            title = f"is {WORDS[label]}" if out.name == "whole" else ""
            with style():
                show_film(axes[i], model.explain(path).film, title, words)
        kind = "whole films" if out.name == "whole" else "films without lungs"
        with style():
            axes[0].set_ylabel(f"{kind}\n{right.value:.0%} right ({right.k} of {right.n})")
    return figure


def _some_of_each(table: pd.DataFrame) -> list[str]:
    """Paths of the first test films of either class."""
    firsts = (table[table["label"] == name]["path"][:EACH] for name in CLASSES)
    return [str(path) for paths in firsts for path in paths]


def leak(folder: Path) -> Figure:
    """The study of the tutorial "Reviewing a paper", as published and corrected."""
    page = (ROOT / "docs" / "tutorials" / "reviewing-a-paper.md").read_text(encoding="utf-8")
    found = re.search(r"^```toml doe2020.toml\n(.*?)^```$", page, re.M | re.S)
    if found is None:
        raise SystemExit("the tutorial has no recipe doe2020.toml")
    recipe = folder / "doe2020.toml"
    recipe.write_text(found[1], encoding="utf-8")
    runs = {
        "divided by image": hilum.run(recipe, out=folder / "published", mode="published"),
        "divided by patient": hilum.run(recipe, out=folder / "corrected"),
    }
    scores = {name: _score(run, "accuracy") for name, run in runs.items()}
    print(scores)
    with style():
        figure = blank(5.6, 2.6)
        axes = figure.subplots()
        for place, score in enumerate(scores.values()):
            axes.barh(place, score.value, 0.55, color=OKABE_ITO["sky"])
            axes.plot([score.low, score.high], [place, place], color=INK, linewidth=1.6)
            axes.text(score.high + 0.02, place, f"{score.value:.0%}", va="center")
        axes.axvline(0.5, color=MUTED, linewidth=1, linestyle=(0, (2, 2)))
        axes.text(0.51, -0.62, "a coin", color=MUTED)
        axes.set_yticks(range(2), list(scores))
        axes.set(xlim=(0, 1.08), ylim=(1.5, -0.8), xlabel="Share of test films that is right")
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
        axes.grid(visible=False, axis="y")
    return figure


def calibration(folder: Path) -> Figure:
    """A head that was trained for too long, before and after temperature scaling."""
    stage = '{optimiser="adam", epochs=60, lr=0.003, keep="last"}'
    films = "images=700, size=128, seed=3, severity=0.7, images_per_patient=1"
    _train(folder, films, 'model.head="mlp"', f"train.stages=[{stage}]", "split.test=0.4")
    table = pd.read_csv(folder / "predictions.csv")
    heat = json.loads((folder / "model" / "model.json").read_text())["temperature"]
    p = [f"p_{name}" for name in CLASSES]
    scaled = table[p].to_numpy()
    before = table.copy()
    before[p] = apply_temperature(np.log(np.maximum(scaled, 1e-8)), 1 / heat)
    titles = "as trained", f"divided by the temperature, {heat:.1f}"
    with style():
        figure = blank(7.6, 3.9)
        both = figure.subplots(1, 2, sharey=True)
        for axes, title, rows in zip(both, titles, (before, table), strict=True):
            bins = curves.reliability_curve(rows, CLASSES)
            bins = bins[bins["n"] > 0]
            print(title, bins.to_string(), sep="\n")
            unit_axes(axes)
            axes.set(xlim=(0.48, 1.02), ylim=(0.0, 1.02), aspect="auto", title=title)
            axes.set_xticks([0.5, 0.75, 1], ["50%", "75%", "100%"])
            axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
            axes.set_xlabel("How sure the classifier was")
            axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (2, 2)))
            values = bins["accuracy"].to_numpy()
            errors = np.abs(bins[["low", "high"]].to_numpy() - values[:, None]).T
            axes.errorbar(
                bins["confidence"], values, errors, color=OKABE_ITO["blue"], marker="o",
                markersize=4.5, elinewidth=1.1, capsize=2, linestyle="none",
            )  # fmt: skip
        both[0].set_ylabel("How often it was right")
    return figure


def abstention(folder: Path) -> Figure:
    """Test films by their probability, and the band in which both classes stay possible."""
    films = "images=700, size=128, seed=4, severity=0.7, images_per_patient=1"
    _train(folder, films, "split.test=0.25", "split.validation=0.3")
    table = pd.read_csv(folder / "predictions.csv").sort_values("p_covid19", ignore_index=True)
    limits = json.loads((folder / "model" / "model.json").read_text())["conformal"]
    low, high = limits["covid19"], 1 - limits["normal"]
    called = np.where(table["p_covid19"] >= 0.5, "covid19", "normal")
    wrong, inside = called != table["label"], table["p_covid19"].between(low, high)
    print(f"limits {low:.3f} {high:.3f}; {inside.sum()} of {len(table)} films inside; "
          f"{wrong.sum()} wrong, {(wrong & inside).sum()} of them inside")  # fmt: skip
    with style():
        figure = blank(7.6, 3.9)
        axes = figure.subplots()
        axes.axhspan(low, high, color="#d5dae1", zorder=0)
        axes.text(2, (low + high) / 2, "both classes possible:\nthe model abstains", va="center")
        for name in CLASSES:
            rows = table[table["label"] == name]
            axes.scatter(rows.index, rows["p_covid19"], 16, COLOUR[name], marker=MARK[name],
                         label=f"is {WORDS[name]}", alpha=0.8)  # fmt: skip
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
        axes.set(
            xlabel="Test films, in order", ylabel="Probability of COVID-19", ylim=(-0.02, 1.02)
        )
        axes.legend(loc="upper left")
    return figure


def report(folder: Path) -> Image.Image:
    """The first screen of the demonstration's report; its date is left out."""
    from playwright.sync_api import sync_playwright

    hilum.run("demo", out=folder)
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("the picture of the report needs Chromium, which is not installed here.")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport=SCREEN, color_scheme="light")
        page.goto((folder / "report.html").as_uri())
        for place in page.locator(".meta > span", has_text="Run of").all():
            place.evaluate("(node) => node.remove()")
        data = page.screenshot()
        browser.close()
    return Image.open(io.BytesIO(data))


def hospital(folder: Path) -> Image.Image:
    """The demonstration's answer to a film, as the archive gets it; its report is printed."""
    hilum.run("demo", out=folder)
    return _results(folder)


def _results(out: Path) -> Image.Image:
    """The Secondary Capture of a run's answer to a synthetic film."""
    made = phantom.generate(phantom.Request(images=1, size=1024, seed=11))
    film = _radiograph(made.images[0])
    results = hilum.load_model(out).predict(film).to_dicom(film)
    for result in results:
        if result.Modality == "SR" and (program := shutil.which("dsrdump")):
            file = out / "report.dcm"
            result.save_as(file, enforce_file_format=True)
            print(subprocess.check_output([program, file], text=True))  # noqa: S603
    (capture,) = [result for result in results if result.Modality == "OT"]
    return Image.fromarray(capture.pixel_array)


def _radiograph(pixels: np.ndarray) -> bytes:
    """Grey (height, width) as a digital radiograph of nobody."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    made.SOPClassUID = uid.DigitalXRayImageStorageForPresentation
    for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(made, name, uid.generate_uid(entropy_srcs=["hospital", name]))
    made.Modality, made.PatientName, made.PatientID = "DX", "Synthetic^Film", "SYNTHETIC"
    made.StudyDate, made.StudyTime, made.ViewPosition = "20260401", "101500", "PA"
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.PixelData = pixels.tobytes()
    made["PixelData"].VR = "OB"
    file = io.BytesIO()
    made.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _train(folder: Path, films: str, *changes: str) -> hilum.Results:
    """The demonstration's recipe on other films, of two classes."""
    fixed = [f"data=[{{phantom={{{films}}}}}]", f"classes={json.dumps(CLASSES)}",
             "augment.views=0", "figures=[]"]  # fmt: skip
    return hilum.run("demo", out=folder, changes=[*fixed, *changes])


def _score(results: hilum.Results, name: str) -> hilum.Score:
    return next(s for s in results.scores if (s.name, s.class_) == (name, "overall"))


def save(picture: Figure | Image.Image, path: Path) -> None:
    """A PNG of few colours."""
    if isinstance(picture, Figure):
        canvas = FigureCanvasAgg(picture)
        with style():
            canvas.draw()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba()))
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


PICTURES: dict[str, Callable[[Path], Figure | Image.Image]] = {
    "shortcut": shortcut,
    "leak": leak,
    "calibration": calibration,
    "abstention": abstention,
    "report": report,
    "hospital": hospital,
}


def main(names: list[str]) -> None:
    """Draw the pictures that are named, or all."""
    for name in names or PICTURES:
        with tempfile.TemporaryDirectory() as folder:
            save(PICTURES[name](Path(folder)), IMAGES / f"{name}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
