"""No command replaces a file that it did not write: films, tables and pages of others stay."""

from pathlib import Path

import pytest
from command_line import Run, Trained, noise, write

CASES = {
    "a film": ("predict {run} {film} --out {film}", "film.png"),
    "a table": ("predict {run} {film} --out {here}/table.csv", "table.csv"),
    "a run's predictions": ("predict {run} {film} --out {here}/predictions.csv", "predictions.csv"),
    "a film of the same name": ("explain {run} {data} --out {here}", "{name}.png"),
    "the same, by predict": ("predict {run} {data} --out p.csv --heatmaps {here}", "{name}.png"),
    "a dataset's image": (
        "prepare {data}/covid19 --steps letterbox --out {here}",
        "images/{name}.png",
    ),
    "a page": ("compare {run} {run} --html {here}/page.html", "page.html"),
    "a card": ("card {run} --out {here}", "MODEL_CARD.md"),
    "a graph": ("export {run} --out {here}", "model.onnx"),
    "weights": ("export {run} --out {here} --format huggingface", "model.safetensors"),
    "a bundle": ("export {run} --out {here} --format monai", "docs/README.md"),
    "results": ("evaluate {run} {data} --out {here}", "results.json"),
    "a report": ("train {data} --out {here}", "report.html"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_file_of_somebody_else_stays(
    hilum: Run, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    words, name = CASES[case]
    first = min((trained.data / "covid19").glob("*.png"))
    here = tmp_path / "here"
    theirs = here / name.format(name=first.stem)
    write(here / "film.png", noise(1))
    theirs.parent.mkdir(exist_ok=True)
    if theirs.name != "film.png":
        theirs.write_bytes(b"cell,sample_id,path,patient_id,source\n")
    before = theirs.read_bytes()
    monkeypatch.chdir(tmp_path)
    film = here / "film.png"
    command = words.format(run=trained.folder, film=film, here=here, data=trained.data)
    done = hilum(*command.split())
    assert (done.code, done.out) == (2, ""), done.err
    assert "replaces no file but" in done.err
    assert theirs.read_bytes() == before
    left = {path for path in here.rglob("*") if path.is_file()}
    assert left == {film, theirs}


def test_a_command_replaces_what_it_wrote(hilum: Run, trained: Trained, tmp_path: Path) -> None:
    film = min((trained.data / "covid19").glob("*.png"))
    for _ in range(2):
        words = ("--out", tmp_path / "p.csv", "--heatmaps", tmp_path / "maps", "-q")
        assert hilum("predict", trained.folder, film, *words).code == 0
        assert hilum("card", trained.folder, "--out", tmp_path / "cards", "-q").code == 0
        page = tmp_path / "page.html"
        assert hilum("compare", trained.folder, trained.folder, "--html", page, "-q").code == 0
