"""`hilum explain` and `hilum predict --heatmaps`: pictures, sheet, table; what is refused."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from command_line import BAD, Run, Trained

from hilum.explain import explainer as subjects

COLUMNS = ["path", "label", "class", "probability", "method", "render", "file", "reason"]


def some(trained: Trained, class_: str, n: int) -> list[Path]:
    return sorted(p for p in (trained.data / class_).glob("*.png") if "900" not in p.name)[:n]


def test_a_run_explains_its_images(hilum: Run, trained: Trained, tmp_path: Path) -> None:
    """A picture each, a sheet, and a table of `predict`'s probabilities and abstentions."""
    out, films = tmp_path / "maps", [*some(trained, "covid19", 1), *some(trained, "normal", 1)]
    films.append(tmp_path / "inverted.png")
    cv2.imwrite(str(films[-1]), 255 - cv2.imread(str(films[0]), cv2.IMREAD_GRAYSCALE))
    done = hilum("explain", trained.folder, *films, "--out", out)
    assert done.code == 0, done.err
    assert "not for clinical use" in done.out.lower()
    table = pd.read_csv(out / "heatmaps.csv", keep_default_na=False)
    assert list(table) == COLUMNS
    assert list(table["path"]) == [str(path) for path in films]
    assert (table["label"] == table["class"]).all()
    assert set(table["method"]) == {"gradcam"}
    for name in [*table["file"], "sheet.png"]:
        picture = cv2.imread(str(out / name))
        assert min(picture.shape[:2]) > 250
        assert (np.ptp(picture.astype(int), axis=2) > 40).any(), "no colour: no heat was drawn"
    assert hilum("predict", trained.folder / "model", *films, "--out", out / "p.csv").code == 0
    p = pd.read_csv(out / "p.csv", keep_default_na=False)
    assert list(table["reason"]) == list(p["reason"])
    assert table["reason"].iloc[-1]
    assert f"{sum(table['reason'] != '')} of images that the model abstains from" in done.out
    want = [row[f"p_{row['label']}"] for row in p.to_dict("records")]
    np.testing.assert_allclose(table["probability"], want, atol=1e-8)


def test_a_chosen_class_method_and_rendering(hilum: Run, model: Path, trained: Trained) -> None:
    out, (film,) = model.parent / "maps", some(trained, "normal", 1)
    flags = ("--class", "covid19", "--method", "hirescam", "--render", "multiply", "--json")
    done = hilum("explain", model, film, "--out", out, *flags)
    assert done.code == 0, done.err
    (row,) = done.json["heatmaps"]
    assert (row["class"], row["method"], row["render"]) == ("covid19", "hirescam", "multiply")
    assert "clinical" in done.json["notice"]
    assert (out / row["file"]).is_file()


def test_folders_with_the_same_names_and_bad_files(
    hilum: Run, trained: Trained, tmp_path: Path
) -> None:
    """One name in two folders makes two pictures, whatever the name; damage is listed."""
    film = some(trained, "normal", 1)[0]
    for place in ("a/1.png", "b/1.png", "b/sheet.png"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        shutil.copy(film, tmp_path / place)
    shutil.copy(trained.data / "normal" / f"patient900_{BAD[0]}", tmp_path / "b" / BAD[0])
    out = tmp_path / "maps"
    done = hilum("explain", trained.folder, tmp_path / "a", tmp_path / "b", "--out", out)
    assert done.code == 0, done.err
    assert {p.name for p in out.glob("*.png")} == {
        "1.png",
        "1-2.png",
        "image-sheet.png",
        "sheet.png",
    }
    table = pd.read_csv(out / "heatmaps.csv", keep_default_na=False)
    bad = table[table["file"] == ""]
    assert len(table) == 4
    assert list(bad["path"]) == [str(tmp_path / "b" / BAD[0])]
    assert bad["reason"].iloc[0]
    assert "Left out: 1." in done.out


def test_predict_draws_heat_maps_as_well(hilum: Run, model: Path, trained: Trained) -> None:
    films, maps = some(trained, "covid19", 2), model.parent / "maps"
    words = ("--out", model.parent / "p.csv", "--heatmaps", maps)
    done = hilum("predict", model, *films, *words)
    assert done.code == 0, done.err
    assert len(pd.read_csv(model.parent / "p.csv")) == 2
    assert len(list(maps.glob("*.png"))) == 3
    assert str(maps) in done.out


@pytest.mark.parametrize("exact", [True, False])
def test_heat_maps_do_not_change_the_prediction(
    hilum: Run, model: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch, exact: bool
) -> None:
    """Byte by byte: one pass for both where its bits are the model's own, a second one if not."""
    films, home = some(trained, "covid19", 3), model.parent
    if not exact:
        monkeypatch.setattr(subjects, "same_bits", lambda asked, model: False)
    drawn = hilum("predict", model, *films, "--out", home / "with.csv", "--heatmaps", home / "m")
    assert drawn.code == 0, drawn.err
    assert hilum("predict", model, *films, "--out", home / "without.csv").code == 0
    assert (home / "with.csv").read_bytes() == (home / "without.csv").read_bytes()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--class", "covid"), "covid19"),
        (("--method", "guided"), "gradcam, hirescam, occlusion"),
        (("--render", "overly"), "did you mean 'overlay'"),
        (("--colours", "rainbow"), "plasma, viridis, jet"),
    ],
)
def test_what_does_not_exist_is_refused(
    hilum: Run, model: Path, trained: Trained, flags: tuple[str, str], says: str
) -> None:
    done = hilum("explain", model, *some(trained, "normal", 1), "--out", model.parent / "o", *flags)
    assert done.code == 2
    assert says in done.err
    assert done.err.count("\n") == 1


def test_films_are_never_overwritten(hilum: Run, model: Path, trained: Trained) -> None:
    home = model.parent / "films"
    home.mkdir()
    film = Path(shutil.copy(some(trained, "normal", 1)[0], home))
    before = film.read_bytes()
    for words in (
        ("explain", model, home, "--out", home),
        ("predict", model, film, "--out", home / "p.csv", "--heatmaps", home),
    ):
        done = hilum(*words)
        assert (done.code, "separate from the images" in done.err) == (2, True)
    assert film.read_bytes() == before
    assert [path.name for path in home.iterdir()] == [film.name]


def test_missing_models_and_images_are_named(hilum: Run, model: Path, tmp_path: Path) -> None:
    none = hilum("explain", tmp_path, tmp_path / "x.png", "--out", tmp_path / "o")
    assert (none.code, "model.json" in none.err) == (3, True)
    gone = hilum("explain", model, tmp_path / "x.png", "--out", tmp_path / "o")
    assert (gone.code, "explain needs images or folders" in gone.err) == (3, True)
    (tmp_path / "empty").mkdir()
    empty = hilum("explain", model, tmp_path / "empty", "--out", tmp_path / "o")
    assert (empty.code, "at least one image" in empty.err) == (2, True)


def test_the_report_shows_heat_maps_of_test_images(trained: Trained) -> None:
    """The stored model's own test images, each with the class that its map is of."""
    figures = trained.folder / "figures"
    shown = pd.read_csv(figures / "study_heatmaps.csv")
    own = pd.read_csv(trained.folder / "predictions.csv").set_index("sample_id")
    assert 1 <= len(shown) <= 12
    assert set(shown["sample_id"]) <= set(own.index)
    p = [own.loc[row.sample_id, f"p_{row[6]}"] for row in shown.itertuples()]
    np.testing.assert_allclose(shown["probability"], p, atol=1e-6)
    assert ((shown["label"] == shown["class"]) == shown["right"]).all()
    picture = cv2.imread(str(figures / "study_heatmaps.png"))
    assert picture.shape[1] > 1000
    assert "Heat maps" in (trained.folder / "report.html").read_text()


def test_a_batch_without_one_readable_image_is_an_error(
    hilum: Run, model: Path, tmp_path: Path
) -> None:
    """Once its reasons are written: a pipeline that goes on by the exit code must stop here."""
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    maps = tmp_path / "maps"
    for command, table in (("predict", tmp_path / "p.csv"), ("explain", maps / "heatmaps.csv")):
        done = hilum(command, model, bad, "--out", maps if command == "explain" else table)
        assert done.code == 2
        assert done.err.count("\n") == 1
        assert f"must be readable; got none; the reasons are in {table}." in done.err
        (row,) = pd.read_csv(table).to_dict("records")
        assert (row["path"], "expected" in row["reason"]) == (str(bad), True)
