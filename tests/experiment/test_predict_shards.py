"""A batch in parts: the bytes of one process, whatever its parts, and after any kill."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import cv2
import dying
import numpy as np
import pytest
from batches import drawn, save_model
from told import Told

from hilum import files
from hilum.experiment import answering, predict, predict_shards, shard_model, shards
from hilum.experiment.answering import BLOCK
from hilum.experiment.predict import AnsweredFiles
from hilum.experiment.spread import Spread
from hilum.files import intact
from hilum.inference import answer, model_json
from hilum.inference.model import TrainedModel
from hilum.progress import Advance, Progress, silent
from hilum.types import HilumError
from process_tree import alive, children

FILMS = 70
BAD = 21  # number of the film that is none


class Made:
    """A model with all that it judges images by, a folder of films, and one process's answers."""

    def __init__(self, home: Path) -> None:
        self.home, self.model, self.films = home, home / "model", home / "films"
        self.loaded: TrainedModel | None = None
        self.films.mkdir()
        for number in range(FILMS):
            cv2.imwrite(str(self.films / f"{number:03}.png"), drawn(number))
        (self.films / f"{BAD:03}.png").write_text("no film")
        cv2.imwrite(str(self.films / "040.png"), np.full((90, 90), 80, np.uint8))  # refused
        save_model(self.model, files.sha256(self.films / "005.png"))
        self.whole = self.predict(home / "whole.csv", predict.ALONE)
        self.text = (home / "whole.csv").read_bytes()

    def predict(self, out: Path, spread: Spread, progress: Progress = silent) -> AnsweredFiles:
        return predict.predict_files(self.model, [self.films], out, progress, spread=spread)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("shards"))


@pytest.fixture(autouse=True)
def loaded_once(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process keeps the model of a batch, but not from one test to the next."""
    real = shard_model.exported.load
    loaded = made.loaded = made.loaded or real(made.model)
    monkeypatch.setattr(
        shard_model.exported,
        "load",
        lambda folder: loaded if folder == made.model else real(folder),
    )
    shard_model.held_model.cache_clear()


def same(made: Made, out: Path, found: AnsweredFiles) -> bool:
    """Whether a command has written and returned what one process does, and left nothing else."""
    assert not out.with_name(f"{out.name}.parts").exists()
    assert found.table.equals(made.whole.table)
    assert found.source == made.whole.source
    assert found.left_out == made.whole.left_out
    assert found.cautions == made.whole.cautions
    return out.read_bytes() == made.text


def test_the_batch_has_all_that_a_table_can_say(made: Made) -> None:
    table = made.whole.table
    assert made.whole.source.apart
    assert table["label"].iloc[BAD] == ""
    assert "uniformly grey" in table["reason"].iloc[40]
    assert table["seen"].iloc[5] == "same file"
    assert set(table["label"]) == {"", "covid19", "normal"}


@pytest.mark.parametrize("size", [3 * BLOCK, pytest.param(None, marks=pytest.mark.slow)])
def test_the_same_bytes_for_any_size_of_parts(made: Made, tmp_path: Path, size: int | None) -> None:
    out = tmp_path / "p.csv"
    assert same(made, out, made.predict(out, Spread(resume=True, size=size)))


def test_a_product_is_one_of_whole_blocks(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read decides how many films a block has, not what comes before or after it."""
    model = shard_model.exported.load(made.model)
    counts: list[int] = []
    real = answer.answer_features
    monkeypatch.setattr(
        answer, "answer_features", lambda m, f, s: (counts.append(len(f)), real(m, f, s))[1]
    )
    paths = sorted(made.films.iterdir())
    whole = answering.answer_files(model, paths, lambda done: None)
    assert counts == [16, 15, 16, 16, 6]
    part = answering.answer_files(model, paths[BLOCK : 3 * BLOCK], lambda done: None)
    assert counts[5:] == [15, 16]
    pieces = np.concatenate(whole.points)[BLOCK : 3 * BLOCK - 1]
    assert np.array_equal(np.concatenate(part.points), pieces, equal_nan=True)


class Counted:
    """Counts the shards that are answered, and interrupts after some."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, last: int | None = None) -> None:
        self.count, self._last, self._real = 0, last, answering.answer_files
        monkeypatch.setattr(answering, "answer_files", self)

    def __call__(self, *given: object) -> answering.Answered:
        if self.count == self._last:
            raise KeyboardInterrupt
        self.count += 1
        return self._real(*given)  # type: ignore[arg-type]


def test_a_resumed_batch_does_what_is_left(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of changed files, of another model or version, and damaged ones are made anew."""
    out, spread = tmp_path / "p.csv", Spread(resume=True, size=BLOCK)
    parts = tmp_path / "p.csv.parts"
    with monkeypatch.context() as patch:
        Counted(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            made.predict(out, spread)
    assert not out.exists()
    (tmp_path / ".01ab23cd-p.csv").write_text("half")  # of a process that was killed
    kept = tmp_path / "kept"
    shutil.copytree(parts, kept)
    assert len([*kept.glob("shard-*.part")]) == 3

    seen = Told()

    def progress(step: str, /) -> Advance:
        return seen if step == "predict" else silent(step)

    assert same(made, out, made.predict(out, spread, progress))
    assert seen.counts == [(0, 70), (48, 70), (64, 70), (70, 70)]
    assert seen.notes == ["48 predicted before"]
    assert not (tmp_path / ".01ab23cd-p.csv").exists()
    shutil.copytree(kept, parts)
    os.utime(made.films / "017.png", (1, 1))  # of the second part
    damaged = next(parts.glob("shard-00000-*"))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    counted = Counted(monkeypatch)
    assert same(made, out, made.predict(out, spread))
    assert counted.count == 4


def one_film(made: Made, folder: Path, key: str, parts: Path) -> shards.Shard:
    work = predict_shards.AnswerWork(folder, key)
    batch = shards.Batch([made.films / "001.png"], key, lambda _: work, lambda _: None, "", "")
    return batch.shards(parts, BLOCK)[0]


def test_parts_of_another_model_are_made_anew(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(made.model, folder)
    key = shard_model.model_key(folder, shard_model.exported.load(folder))
    assert key == shard_model.model_key(made.model, shard_model.exported.load(made.model))
    model_json.amend(folder, {"temperature": 3.0})
    other = shard_model.model_key(folder, shard_model.exported.load(folder))
    assert other != key
    shard = one_film(made, folder, key, tmp_path)
    with pytest.raises(HilumError, match=r"all processes need the same model"):
        shards.carry_out(shard, silent)
    again = one_film(made, folder, other, tmp_path)
    assert again.part != shard.part
    with monkeypatch.context() as patch:
        patch.setitem(shard_model.VERSIONS, "hilum", "0.0.1")
        assert shard_model.model_key(folder, shard_model.exported.load(folder)) not in {key, other}


def test_what_cannot_be_done_in_parts_is_refused(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "p.csv"
    for spread, got in (
        (Spread(2), "--workers 2"),
        (Spread(resume=True), "--resume"),
        (Spread(ray="auto"), "--ray auto"),
    ):
        with pytest.raises(HilumError, match=f"by one process .* got --heatmaps with {got}"):
            predict.predict_files(
                made.model, [made.films], out, silent, tmp_path / "maps", spread=spread
            )
    with pytest.raises(HilumError, match="a multiple of 16 files; got 10"):
        made.predict(out, Spread(resume=True, size=10))
    with pytest.raises(HilumError, match="at least 1; got 0"):
        made.predict(out, Spread(0))
    on_gpu = SimpleNamespace(runtime=SimpleNamespace(facts=SimpleNamespace(device="cuda:0")))
    batch = predict_shards.Asked(made.model, on_gpu, [], out, Spread(2))  # type: ignore[arg-type]
    with (
        pytest.raises(HilumError, match="by processor cores; got a model on cuda:0"),
        predict_shards.answered(batch, silent),
    ):
        pass
    with (
        files.alone(tmp_path / "p.csv.parts"),
        pytest.raises(HilumError, match="one command at a time may write"),
    ):
        made.predict(out, Spread(resume=True))
    assert not out.exists()


@pytest.mark.parametrize(
    ("count", "processes", "size"),
    [(1, 2, 16), (300, 2, 32), (256, 2, 16), (4000, 4, 128), (1_000_000, 2, 1024)],
)
def test_shards_keep_processes_busy_and_stay_small(count: int, processes: int, size: int) -> None:
    assert shards.shard_size(count, processes) == size


@contextmanager
def one_process() -> Iterator[tuple[files.Executor, int]]:
    """At a time: with the one that takes its place two are started, not three."""
    executor = files.ProcessExecutor(1, threads=1, tries=2)
    try:
        yield executor, 1
    finally:
        executor.close()


def test_a_process_that_is_killed_loses_nothing_and_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a shard; and when its part is there, but nobody knows yet."""
    paths = [tmp_path / f"{number:02}.txt" for number in range(3 * BLOCK - 2)]
    for path in paths:
        path.write_text(path.name)
    ends = iter(("", "before", "after"))
    batch = shards.Batch(
        paths,
        "key",
        lambda _: dying.CopyWork(next(ends)),
        lambda shard: shard.part.read_bytes() if shard.part.exists() else None,
        "copy",
        "copied",
    )
    monkeypatch.setattr(Spread, "executor", lambda spread: one_process())
    with shards.parts_folder(tmp_path / "parts", resume=True) as folder:
        found = shards.all_parts(batch, folder, Spread(2, size=BLOCK), silent)
        assert sorted(path.name for path in folder.glob("ended-*")) == ["ended-1", "ended-2"]
        assert (folder / "log").read_text().split() == ["0", "1", "2"]
    texts = [part[: -intact.TRAILER_BYTES].decode() for part in found]
    assert "".join(texts) == "".join(path.name for path in paths)


@pytest.mark.slow
def test_a_killed_process_costs_its_shard_alone(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "p.csv"
    monkeypatch.setattr(shards, "carry_out", dying.at_first)
    monkeypatch.setattr(Spread, "executor", lambda spread: one_process())
    found = made.predict(out, Spread(2, size=2 * BLOCK))
    assert [path.name for path in (tmp_path / "p.csv.parts").iterdir()] == ["died"]
    shutil.rmtree(tmp_path / "p.csv.parts")
    assert same(made, out, found)


@pytest.mark.slow
def test_a_film_that_ends_every_process_is_named(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "p.csv"
    with monkeypatch.context() as patch:
        patch.setattr(shards, "carry_out", dying.always)
        with pytest.raises(HilumError, match=r"3 ended .* it read '.*037.png' \(signal SIGKILL\)"):
            made.predict(out, Spread(2, size=BLOCK))
    assert len([*(tmp_path / "p.csv.parts").glob("*.part")]) >= 2
    (tmp_path / "p.csv.parts" / "died").unlink()
    assert same(made, out, made.predict(out, Spread(2, resume=True, size=BLOCK)))


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_command_goes_on_and_leaves_no_process(
    made: Made, tmp_path: Path, how: signal.Signals
) -> None:
    """At several moments; its processes end with it, and what they have done is not done again."""
    out, parts = tmp_path / "p.csv", tmp_path / "p.csv.parts"
    code = (
        "import signal, sys; from pathlib import Path\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from hilum.experiment import predict; from hilum.experiment.spread import Spread\n"
        "from hilum.progress import silent\n"
        f"predict.predict_files(Path({str(made.model)!r}), [Path({str(made.films)!r})],\n"
        f"    Path({str(out)!r}), silent, spread=Spread(2, resume=True, size={BLOCK}))\n"
    )
    for least in (1, 3):
        run = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        end = time.monotonic() + 120
        while len([*parts.glob("shard-*.part")]) < least and run.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.01)
        workers = children(run.pid)
        run.send_signal(how)
        run.wait(60)
        while any(map(alive, workers)):
            assert time.monotonic() < end
            time.sleep(0.05)
        before = {path.name: path.stat().st_mtime_ns for path in parts.glob("shard-*.part")}
        if run.returncode:
            assert len(before) >= least
            assert not out.exists()
    written: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        real = predict_shards.write_part
        patch.setattr(
            predict_shards,
            "write_part",
            lambda s, *a: (written.append(s.part.name), real(s, *a))[1],
        )
        found = made.predict(out, Spread(resume=True, size=BLOCK))
    assert same(made, out, found)
    assert not set(written) & set(before)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_gives_the_same_bytes(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "p.csv"
    assert same(made, out, made.predict(out, Spread(2, ray="local", size=BLOCK)))
