"""Look for bytes that one of hilum's readers does not answer with HilumError, guided by coverage.

python scripts/fuzz.py header --seconds 180 --corpus out/fuzz/header: atheris (extra "fuzz", Linux)
changes the files of the corpus, and keeps a copy that reaches something new in hilum's own code.
Anything but HilumError is a finding: its kind is printed once, its bytes are kept next to
the corpus, and it goes on. 5 s for one file, or 2 GiB for the process, end it. --keep FOLDER then
copies the few files that reach every line that the corpus reaches. Nothing that ends or holds up
another library belongs into the repository.
"""

import argparse
import hashlib
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

SECONDS, MEBIBYTES, LONGEST = 5, 1024, 4096  # of one file
HEAVY = 8192  # bytes: a larger file is not kept
KEPT = Path(__file__).parents[1] / "tests" / "fuzz_corpus"
HILUM = str(Path(__file__).parents[1] / "src" / "hilum")


def where(error: BaseException) -> str:
    """The kind of a finding: its exception, and the last line of hilum on its way."""
    ours = [row for row in traceback.extract_tb(error.__traceback__) if HILUM in row.filename]
    last = ours[-1] if ours else traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"


def lines_of(read: Callable[[bytes], object], data: bytes) -> set[tuple[str, int]]:
    """The lines of hilum that reading `data` reaches; HilumError is an answer."""
    from hilum.types import HilumError

    seen: set[tuple[str, int]] = set()

    def follow(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(HILUM):
            return None
        if event == "line":
            seen.add((frame.f_code.co_filename, frame.f_lineno))
        return follow

    before = sys.gettrace()
    sys.settrace(follow)
    try:
        read(data)
    except HilumError:
        pass
    finally:
        sys.settrace(before)
    return seen


def keep(read: Callable[[bytes], object], corpus: Path, folder: Path) -> int:
    """Copy the files that reach a line no smaller file reaches; how many lines all reach."""
    folder.mkdir(parents=True, exist_ok=True)
    reached: set[tuple[str, int]] = set()
    for file in sorted(
        (f for f in corpus.iterdir() if f.is_file()), key=lambda f: f.stat().st_size
    ):
        data = file.read_bytes()
        if len(data) > HEAVY or not (new := lines_of(read, data) - reached):
            continue
        reached |= new
        (folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
    return len(reached)


def fuzz(name: str, seconds: int, corpus: Path) -> None:
    """Fuzz one target for so long; ends the process."""
    import atheris

    with atheris.instrument_imports(include=["hilum"]):
        from fuzz_targets import TARGETS
    from hilum.types import HilumError

    target, kinds, counts = TARGETS[name], Counter[str](), Counter[str]()
    findings = corpus.with_name(
        f"{corpus.name}-findings"
    )  # not below: libFuzzer would begin from it
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for data in target.seeds():
        (corpus / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
        target.read(data)
    end = time.monotonic() + seconds - 1

    def once(data: bytes) -> None:
        counts["runs"] += 1
        start, kind, said = time.process_time(), "", ""
        try:
            target.read(data)
        except HilumError as error:
            counts["refused"] += 1
            said = str(error)
            kind = "a message of several lines" if "\n" in said.strip() else ""
        except Exception as error:  # noqa: BLE001 - each is a finding
            kind, said = where(error), str(error)
        if kind:
            kinds[kind] += 1
            if kinds[kind] == 1:
                (findings / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
                print(f"finding: {kind}: {said:.200}", flush=True)
        counts["slowest, ms"] = max(
            counts["slowest, ms"], int(1000 * (time.process_time() - start))
        )
        if time.monotonic() > end and not counts["said"]:  # libFuzzer leaves without a goodbye
            counts["said"] = 1
            print(f"{name}: {dict(counts)}, findings: {dict(kinds)}", flush=True)

    longest = max(LONGEST, *(2 * len(data) for data in target.seeds()))
    atheris.Setup(
        [
            sys.argv[0], str(corpus), f"-max_total_time={seconds}", f"-timeout={SECONDS}",
            f"-rss_limit_mb={2 * MEBIBYTES}", f"-max_len={longest}", "-print_final_stats=1",
            f"-artifact_prefix={findings}/",
        ],
        once,
    )  # fmt: skip
    atheris.Fuzz()


def main() -> None:
    """One target, or only its corpus made small."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?")
    parser.add_argument("--list", action="store_true", help="the names of the targets")
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--keep", type=Path, help="copy the files that matter there; no fuzzing")
    asked = parser.parse_args()
    if asked.list or asked.target is None:
        from fuzz_targets import TARGETS

        print(*TARGETS)
        return
    corpus = asked.corpus or Path("out") / "fuzz" / asked.target
    if asked.keep is None:
        fuzz(asked.target, asked.seconds, corpus)
    from fuzz_targets import TARGETS

    print(keep(TARGETS[asked.target].read, corpus, asked.keep), "lines reached")


if __name__ == "__main__":
    main()
