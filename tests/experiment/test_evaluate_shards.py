"""A test of a model in parts: the files of one process, whatever its parts, and after any kill."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import cv2
import pytest
from batches import drawn, save_model
from kept_files import kept

import brevity
from hilum import files, report
from hilum.experiment import environment, evaluate, evaluate_shards, shard_model, shards
from hilum.experiment.answering import BLOCK
from hilum.experiment.spread import ALONE, Spread
from hilum.progress import silent
from hilum.types import Results

FILMS = 3 * BLOCK - 5  # three shards
pytestmark = pytest.mark.slow  # `test_seen_again.py` has a test in shards
CLASSES = ("covid19", "normal")


class Made:
    """A model, labelled films of all kinds, and the files of one process's test."""

    def __init__(self, home: Path) -> None:
        self.home, self.model, self.films = home, home / "model", home / "films"
        for name in CLASSES:
            (self.films / name).mkdir(parents=True)
        for number in range(FILMS):
            path = self.films / CLASSES[number % 2] / f"{number:03}.png"
            cv2.imwrite(str(path), drawn(number))
        (self.films / "covid19" / "004.png").write_text("no film")
        (self.films / "normal" / "gone.png").symlink_to(home / "nothing.png")
        shutil.copy(self.films / "normal" / "007.png", self.films / "normal" / "copy.png")
        save_model(self.model, files.sha256(self.films / "normal" / "005.png"))
        self.evaluate(home / "whole", ALONE)
        self.whole = kept(home / "whole")

    def evaluate(self, out: Path, spread: Spread) -> Results:
        return evaluate.evaluate_model(self.model, self.films, out, silent, spread=spread)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    home = tmp_path_factory.mktemp("tested")
    with pytest.MonkeyPatch.context() as patch, shortened():
        patch.setenv("HILUM_CACHE", str(home / "cache"))
        return Made(home)


@contextmanager
def shortened() -> Iterator[None]:
    """The audits of tables alone, and no report: it is made of the other files."""
    with pytest.MonkeyPatch.context() as patch, brevity.audits_of_tables():
        patch.setattr(report, "build_report", lambda out: out / "report.html")
        yield


@pytest.fixture
def short() -> Iterator[None]:
    """As in `made`."""
    with shortened():
        yield


@pytest.fixture(autouse=True)
def timeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report says when it was made, how long that took, and with how much memory."""
    monkeypatch.setattr(environment, "provenance", lambda seconds: {"seconds": 1.0})


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one process has stored is not found by another."""
    monkeypatch.setenv("HILUM_CACHE", str(tmp_path / "cache"))
    shard_model.held_model.cache_clear()


def test_the_test_has_all_that_its_files_can_say(made: Made) -> None:
    reasons = made.whole["left_out.csv"].decode()
    assert "No such file" in reasons
    assert "004.png" in reasons
    assert "005.png" in reasons
    rows = made.whole["predictions.csv"].decode().splitlines()
    assert len(rows) == 1 + FILMS - 1  # a copy more, a broken film and a known one less
    assert not list(made.home.rglob("shard-*"))  # one process makes no parts


@pytest.mark.usefixtures("short")
def test_the_same_bytes_after_an_interruption(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, spread = tmp_path / "out", Spread(resume=True, size=BLOCK)
    seen: list[str] = []
    real = evaluate_shards.SeenWork.carry_out

    def counted(work: evaluate_shards.SeenWork, shard: shards.Shard, watch: shards.Watch) -> None:
        if len(seen) == 2:
            seen.append("")
            raise KeyboardInterrupt
        seen.append(shard.part.name)
        real(work, shard, watch)

    monkeypatch.setattr(evaluate_shards.SeenWork, "carry_out", counted)
    with pytest.raises(KeyboardInterrupt):
        made.evaluate(out, spread)
    parts = sorted(path.name for path in (out / ".parts").glob("shard-*.part"))
    assert parts == seen[:2]
    first = out / ".parts" / parts[0]
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 1
    first.write_bytes(content)
    for name in (".01ab23cd-manifest.parquet", "figures/.89abcdef-roc.png"):
        (out / name).write_text("half")  # of a process that was killed while it wrote
    made.evaluate(out, spread)
    assert [name for name in seen[3:] if name in parts] == parts[:1]  # the damaged one alone
    assert len(seen) == 3 + 2
    assert kept(out) == made.whole


def test_the_same_bytes_by_two_processes_with_every_audit(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with figures: nothing that the command makes itself depends on who saw the films."""
    made.evaluate(tmp_path / "alone", ALONE)
    monkeypatch.setenv("HILUM_CACHE", str(tmp_path / "second"))
    made.evaluate(tmp_path / "spread", Spread(2, size=BLOCK))
    alone = kept(tmp_path / "alone")
    assert any(name.endswith(".png") for name in alone)
    assert kept(tmp_path / "spread") == alone


@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
@pytest.mark.filterwarnings("ignore")  # Ray's own
@pytest.mark.usefixtures("short")
def test_ray_gives_the_same_bytes(made: Made, tmp_path: Path) -> None:
    made.evaluate(tmp_path / "out", Spread(2, ray="local", size=BLOCK))
    assert kept(tmp_path / "out") == made.whole
