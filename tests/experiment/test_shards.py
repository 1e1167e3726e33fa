"""A batch in shards without any model: names of parts, what is kept, what is said."""

import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from told import Told

from hilum import files
from hilum.experiment import shards
from hilum.experiment.shards import Batch, Shard, Watch
from hilum.experiment.spread import Spread
from hilum.files import WorkerLostError
from hilum.progress import Advance, silent
from hilum.types import HilumError

SIZE = 16


@dataclass
class Copy:
    """Writes its files' names into the part; `done` are the shards that were carried out."""

    cut: slice
    done: list[int] = field(default_factory=list)

    def carry_out(self, shard: Shard, watch: Watch) -> None:
        for number, path in enumerate(shard.paths):
            watch.reading(Path(path))
            watch.done(number + 1)
        with shard.writing() as temporary:
            temporary.write_text("\n".join(Path(path).name for path in shard.paths))
        self.done.append(shard.number)


def whole(shard: Shard) -> str | None:
    try:
        return shard.part.read_bytes()[:-8].decode() if shard.is_whole() else None
    except OSError:
        return None


def batch_of(
    folder: Path, count: int, read: Callable[[Shard], str | None] = whole, key: str = "key"
) -> tuple[Batch[str], list[int]]:
    """Small files, and the list of shards that are carried out."""
    folder.mkdir(exist_ok=True)
    paths, done = [folder / f"{number:03}.txt" for number in range(count)], list[int]()
    for path in paths:
        if not path.exists():
            path.write_text(path.name)
    return Batch(paths, key, lambda cut: Copy(cut, done), read, "copy", "copied"), done


def test_shards_are_consecutive_and_named_by_all_that_counts(tmp_path: Path) -> None:
    batch, _ = batch_of(tmp_path / "in", 40)
    found = batch.shards(tmp_path, SIZE)
    assert [shard.number for shard in found] == [0, 1, 2]
    assert [len(shard.paths) for shard in found] == [16, 16, 8]
    assert [path for shard in found for path in shard.paths] == list(map(str, batch.paths))
    assert [shard.work.cut for shard in found] == [slice(0, 16), slice(16, 32), slice(32, 48)]  # type: ignore[attr-defined]
    assert [shard.part.name for shard in found] == [
        f"shard-0000{n}-{shard.key}.part" for n, shard in enumerate(found)
    ]
    assert found[1].reading == tmp_path / "shard-00001.reading"
    assert {len(shard.key) for shard in found} == {16}
    names = [[shard.key for shard in found]]
    os.utime(batch.paths[20], ns=(1, 1))
    names.append([shard.key for shard in batch.shards(tmp_path, SIZE)])
    batch.paths[20].write_text("longer than it was")
    os.utime(batch.paths[20], ns=(1, 1))
    names.append([shard.key for shard in batch.shards(tmp_path, SIZE)])
    batch.paths[20].unlink()
    names.append([shard.key for shard in batch.shards(tmp_path, SIZE)])
    assert all(one[0] == names[0][0] and one[2] == names[0][2] for one in names)
    assert len({one[1] for one in names}) == 4
    other, _ = batch_of(tmp_path / "in", 40, key="other")
    assert {s.key for s in other.shards(tmp_path, SIZE)}.isdisjoint(names[0])


@pytest.mark.parametrize("processes", [1, 2, 7])
def test_a_shard_has_whole_blocks_and_no_process_idles(processes: int) -> None:
    """The smallest multiple of a block by which each process gets eight shards at most."""
    for count in range(0, 20_000, 97):
        blocks = next(n for n in range(1, 10_000) if n * SIZE * 8 * processes >= count)
        assert shards.shard_size(count, processes) == min(1024, blocks * SIZE)


def test_a_part_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    batch, done = batch_of(tmp_path / "in", 40)
    told: list[tuple[str, int, int]] = []

    def progress(step: str, /) -> Advance:
        return lambda at, of: told.append((step, at, of))

    _, second, _ = batch.shards(tmp_path, SIZE)
    assert shards.carry_out(second, progress) == 16
    assert done == [1]
    step = told[0][0]
    assert told == [(step, n, 16) for n in range(17)]
    assert "2" in str(step)
    assert not second.reading.exists()
    assert whole(second) == "\n".join(f"{n:03}.txt" for n in range(16, 32))
    assert shards.carry_out(second, progress) == 16
    assert done == [1]
    content = second.part.read_bytes()
    second.part.write_bytes(content[:-9] + b"?" + content[-8:])
    assert not second.is_whole()
    assert shards.carry_out(second, silent) == 16
    assert done == [1, 1]
    assert second.part.read_bytes() == content


def test_what_was_read_last_is_known(tmp_path: Path) -> None:
    batch, _ = batch_of(tmp_path / "in", 5)
    (shard,) = batch.shards(tmp_path, SIZE)
    assert shard.last_read() == ""
    for noted, name in (("0\n", "000"), ("0\n1\n4\n", "004"), ("", ""), ("9\n", ""), ("x", "")):
        shard.reading.write_text(noted)
        assert Path(shard.last_read()).stem == name


@pytest.mark.parametrize("resume", [True, False])
def test_parts_are_kept_on_failure_and_begun_with_only_on_resume(
    tmp_path: Path, resume: bool
) -> None:
    home = tmp_path / "parts"

    def fails(shard: Shard) -> str | None:
        if shard.number == 2 and shard.part.exists():
            raise KeyboardInterrupt
        return whole(shard)

    failing, _ = batch_of(tmp_path / "in", 40, fails)
    with pytest.raises(KeyboardInterrupt), shards.parts_folder(home, resume=False) as folder:
        shards.all_parts(failing, folder, Spread(size=SIZE), silent)
    (home / "shard-00000.reading").write_text("3")
    (home / ".x-shard-00001-ab.part").write_text("half")
    (home / "mine.txt").write_text("kept")
    assert len([*home.glob("shard-*.part")]) == 3
    batch, done = batch_of(tmp_path / "in", 40)
    with shards.parts_folder(home, resume) as folder:
        assert sorted(path.name for path in folder.glob("*.reading")) == []
        assert sorted(path.name for path in folder.glob(".x-*")) == []
        found = shards.all_parts(batch, folder, Spread(size=SIZE), silent)
    assert done == ([] if resume else [0, 1, 2])
    assert "\n".join(found).split() == [path.name for path in batch.paths]
    assert {path.name for path in home.iterdir()} == {"mine.txt"}
    (home / "mine.txt").unlink()
    with shards.parts_folder(home, resume):
        pass
    assert not home.exists()


def test_progress_counts_files_and_says_what_was_done_before(tmp_path: Path) -> None:
    told = Told()
    batch, _ = batch_of(tmp_path / "in", 40)
    first, _, last = batch.shards(tmp_path, SIZE)
    for shard in (first, last):
        shards.carry_out(shard, silent)
    shown = lambda step: told if step == "copy" else silent(step)  # noqa: E731
    shards.all_parts(batch, tmp_path, Spread(size=SIZE), shown)
    assert told.counts == [(0, 40), (24, 40), (40, 40)]
    assert told.notes == ["24 copied before"]
    told.counts.clear(), told.notes.clear()
    first.part.unlink()
    shards.all_parts(batch_of(tmp_path / "in", 16)[0], tmp_path, Spread(size=SIZE), shown)
    assert told.counts == [(0, 16), (16, 16)]
    assert told.notes == []


def test_a_part_that_goes_at_once_is_said(tmp_path: Path) -> None:
    batch, _ = batch_of(tmp_path / "in", 3, lambda shard: None)
    with pytest.raises(HilumError, match="must be as it was written a moment ago"):
        shards.all_parts(batch, tmp_path, Spread(size=SIZE), silent)


@pytest.mark.parametrize("noted", ["2\n", None])
def test_the_shard_whose_process_is_lost_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noted: str | None
) -> None:
    """The first ends well; of the second the file that was read last is said, where it is known."""
    batch, _ = batch_of(tmp_path / "in", 40)
    second = batch.shards(tmp_path, SIZE)[1]

    class Losing:
        def map(self, task, items, progress):
            yield task(items[0], progress)
            if noted:
                second.reading.write_text(noted)
            raise WorkerLostError("signal SIGKILL")

    @contextmanager
    def losing(spread: Spread):
        yield Losing(), 1

    monkeypatch.setattr(Spread, "executor", losing)
    said = "while it read '.*018.txt' " if noted else ""
    remedy = "move that file away or use" if noted else "use"
    with pytest.raises(HilumError, match=rf"the last {said}\(signal SIGKILL\); {remedy} fewer"):
        shards.all_parts(batch, tmp_path, Spread(size=SIZE), silent)


def test_a_folder_of_parts_has_one_command_at_a_time(tmp_path: Path) -> None:
    with (
        files.alone(tmp_path / "parts"),
        pytest.raises(HilumError, match="one command at a time"),
        shards.parts_folder(tmp_path / "parts", resume=True),
    ):
        pass
