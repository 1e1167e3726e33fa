"""`hilum prepare` in parts: the files of one process, whatever its parts, and after any kill."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from batches import drawn

from hilum import phantom
from hilum.experiment import prepare, prepare_shards, shards
from hilum.experiment.answering import BLOCK
from hilum.experiment.spread import ALONE, Spread
from hilum.progress import silent
from hilum.types import HilumError

FILMS = 3 * BLOCK - 3  # with the two below three shards
STEPS = ["clahe", "letterbox"]


def kept(out: Path) -> dict[str, bytes]:
    """Every file and its bytes; of all calls `out` is the same, as tables have its name."""
    found = {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }
    shutil.rmtree(out)
    return found


def draw(folder: Path, count: int) -> Path:
    """Films, two of them with the same stem, and one file that is none."""
    (folder / "a").mkdir(parents=True)
    for number in range(count):
        cv2.imwrite(str(folder / ("a" * (number % 2)) / f"{number:03}.png"), drawn(number)[:, :48])
    cv2.imwrite(str(folder / "004.jpg"), drawn(200)[:, :48])
    (folder / "broken.png").write_text("no film")
    (folder / "notes.txt").write_text("left out")
    return folder


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("raw"), FILMS)


def prepared(films: Path, out: Path, spread: Spread, steps: list[str] = STEPS) -> prepare.Prepared:
    return prepare.prepare_folder(films, prepare.steps_named(steps, 64), out, silent, spread)


def test_the_same_bytes_after_an_interruption(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done stays; what was damaged or taken away since is made again."""
    monkeypatch.setattr(prepare, "_sheet", lambda jobs, steps, out: out)  # has its own test
    out, spread = tmp_path / "out", Spread(resume=True, size=BLOCK)
    whole = prepared(films, out, ALONE)
    assert (whole.written, len(whole.left_out)) == (FILMS + 1, 2)
    alone = kept(out)
    made: list[int] = []
    real = prepare_shards.PrepareWork.carry_out

    def counted(work: prepare_shards.PrepareWork, shard: shards.Shard, watch: shards.Watch) -> None:
        if len(made) == 2:
            (out / "images" / "a" / f".{'0' * 16}.part").write_text("")  # as a kill leaves it
            made.append(-1)
            raise KeyboardInterrupt
        made.append(shard.number)
        real(work, shard, watch)

    monkeypatch.setattr(prepare_shards.PrepareWork, "carry_out", counted)
    with pytest.raises(KeyboardInterrupt):
        prepared(films, out, spread)
    (out / "images" / "a" / f".{'0' * 16}.part").unlink()
    state = {path: path.stat().st_mtime_ns for path in (out / "images").rglob("*.png")}
    lost = min(state)
    lost.unlink()
    found = prepared(films, out, spread)
    assert made == [0, 1, -1, 0, 2]
    again = [path for path, time in state.items() if path.stat().st_mtime_ns != time]
    assert len(again) == BLOCK
    assert lost in again
    assert found == whole
    assert kept(out) == alone


def test_no_film_is_half_written(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends while it writes leaves a name that the next one takes again."""
    monkeypatch.setattr(prepare, "_sheet", lambda jobs, steps, out: out)
    real = Path.replace

    def killed(path: Path, target: Path) -> Path:
        if target.name == "006.png":
            raise KeyboardInterrupt
        return real(path, target)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            prepared(films, out, ALONE)
    assert not (out / "images" / "006.png").exists()
    assert len(list((out / "images").glob(".*.part"))) == 1
    prepared(films, out, ALONE)
    assert (out / "images" / "006.png").is_file()
    assert not list(out.rglob(".*.part"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "spread",
    [
        Spread(2, size=BLOCK),
        Spread(resume=True, size=BLOCK),
        pytest.param(
            Spread(2, ray="local", size=BLOCK),
            marks=[
                pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed"),
                pytest.mark.filterwarnings("ignore"),  # Ray's own
            ],
        ),
    ],
    ids=["2 workers", "7 shards", "Ray"],
)
def test_the_same_bytes_by_processes(tmp_path: Path, spread: Spread) -> None:
    folder = draw(tmp_path / "films", 7 * BLOCK - 4)
    prepared(folder, tmp_path / "out", ALONE)
    alone = kept(tmp_path / "out")
    assert "contact_sheet.png" in alone
    prepared(folder, tmp_path / "out", spread)
    assert kept(tmp_path / "out") == alone


@pytest.mark.slow
def test_lungs_are_the_same_by_processes(tmp_path: Path) -> None:
    made = phantom.generate(phantom.Request(images=BLOCK + 3, size=256, seed=4))
    (tmp_path / "films").mkdir()
    for number, image in enumerate(made.images):
        cv2.imwrite(str(tmp_path / "films" / f"{number:02}.png"), image)
    cv2.imwrite(str(tmp_path / "films" / "black.png"), np.zeros((90, 80), np.uint8))
    steps = ["keep_lungs:dilate=0", "letterbox"]
    first = prepared(tmp_path / "films", tmp_path / "out", ALONE, steps)
    alone = kept(tmp_path / "out")
    assert "lungs.csv" in alone
    again = prepared(tmp_path / "films", tmp_path / "out", Spread(2, size=BLOCK), steps)
    assert kept(tmp_path / "out") == alone
    assert again == first


@pytest.mark.parametrize("place", ["films", "films/out", "films/../films/a/b"])
def test_images_are_not_prepared_into_their_own_folder(tmp_path: Path, place: str) -> None:
    """A second call would prepare what the first one wrote, its contact sheet too."""
    films = tmp_path / "films"
    films.mkdir()
    with pytest.raises(HilumError, match="must be apart from the images"):
        prepare.prepare_folder(films, prepare.steps_named(["clahe"]), tmp_path / place, silent)
    assert list(films.iterdir()) == []
