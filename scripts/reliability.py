"""Count what docs/reliability.md promises: property after property, a line of result for each.

    python scripts/reliability.py [E-07 ...] [--again]

Each property is its tests, the large samples too, in a process of their own; what they print on
standard error is what they counted. A property that has passed on this very code is not counted
again, so that a stopped series goes on where it was; --again counts it nevertheless. Everything
that pytest said is in out/reliability. Fuzzing (E-02) and mutants (E-26) take hours and are
`make fuzz` and `make mutants`. The exit code is 1 where a property failed.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "out" / "reliability"
CODE = ("src", "tests", "constraints.txt", "pyproject.toml")
PASSED, FAILED, SKIPPED = "passed", "FAILED", "not counted"
LARGE, SMALL = "hard", "not slow and not hard and not gpu and not browser and not dicom"
PROGRESS = re.compile(r"^[.sFEx]+(?= *\[|$)", re.MULTILINE)  # of pytest: a letter for each test


@dataclass(frozen=True, slots=True)
class Property:
    """What is promised, and the tests that count it: paths, and those of them by their marks."""

    promise: str
    tests: tuple[str, ...]
    marks: str = LARGE


PROPERTIES = {
    "E-01": Property(
        "a damaged file ends in one sentence",
        ("tests/test_damaged_records.py", "tests/test_damaged_archives.py"),
    ),
    "E-03": Property("bombs are refused", ("tests/test_bombs.py",)),
    "E-04": Property(
        "no code of weights is executed", ("tests/models/test_hostile_pickles.py",), SMALL
    ),
    "E-05": Property("no archive writes outside", ("tests/data/test_fetch.py",), SMALL),
    "E-06": Property("outputs are old or new", ("tests/experiment/test_every_step.py",)),
    "E-07": Property(
        "a killed run goes on to the same bytes", ("tests/experiment/test_killed_runs.py",)
    ),
    "E-08": Property("the same seed, the same numbers", ("tests/experiment/test_same_seed.py",)),
    "E-09": Property("a disk that refuses is named", ("tests/test_full_disk.py",), SMALL),
    "E-10": Property(
        "too little memory ends in a sentence", ("tests/experiment/test_little_memory.py",)
    ),
    "E-11": Property(
        "damaged data are found and named",
        ("tests/test_flipped_bits.py", "tests/experiment/test_damaged_share.py"),
    ),
    "E-12": Property("a killed worker costs its task alone", ("tests/experiment/test_kills.py",)),
    "E-13": Property(
        "limits of the server, and slow clients",
        (
            "tests/serve/test_limits.py",
            "tests/serve/test_crowds.py::test_slow_clients_do_not_slow_down_the_others",
        ),
        f"hard or ({SMALL})",
    ),
    "E-14": Property("more requests than can be answered", ("tests/serve/test_overload.py",)),
    "E-15": Property(
        "clients that go leave nothing behind",
        ("tests/serve/test_crowds.py::test_clients_that_go_leave_nothing",),
    ),
    "E-16": Property(
        "a decoder that dies costs one film",
        ("tests/serve/test_decoding.py", "tests/images/test_codec_process.py"),
        SMALL,
    ),
    "E-18": Property(
        "no script in a page, no formula", ("tests/report/test_report_hostile.py",), SMALL
    ),
    "E-19": Property(
        "planted names appear nowhere",
        ("tests/serve/test_privacy.py", "tests/interop/test_pseudonyms.py"),
        SMALL,
    ),
    "E-20": Property(
        "no text of a recipe is executed", ("tests/recipes/test_hostile_recipes.py",), SMALL
    ),
    "E-21": Property("supply chain", ("tests/test_packaging.py",), SMALL),
    "E-22": Property(
        "unusual pixels have a defined result", ("tests/images/test_odd_pixels.py",), SMALL
    ),
    "E-23": Property("engines agree", ("tests/exporting/test_thousand_images.py",)),
    "E-24": Property(
        "scores are those of other libraries", ("tests/metrics",), f"slow or ({SMALL})"
    ),
    "E-25": Property(
        "service and training do not grow",
        (
            "tests/serve/test_soak.py",
            "tests/node/test_soak_node.py",
            "tests/experiment/test_soak_training.py",
        ),
    ),
    "E-27": Property("audits find what is planted", ("tests/audits/test_controls.py",), "slow"),
    "node": Property("no film is lost, none answered twice", ("tests/node",), "hard and not slow"),
}


@dataclass(frozen=True, slots=True)
class Counted:
    """How a property's tests ended, in words, and what they printed."""

    outcome: str  # PASSED, FAILED or SKIPPED
    words: str

    def line(self, name: str) -> str:
        """The line of result."""
        return f"{name}: {PROPERTIES[name].promise}: {self.outcome}; {self.words}"


def code_digest(root: Path = ROOT) -> str:
    """SHA-256 of all that the counts depend on in the repository."""
    total = hashlib.sha256()
    for name in CODE:
        below = [root / name] if (root / name).is_file() else sorted((root / name).rglob("*"))
        for path in below:
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return total.hexdigest()


def count(row: Property, log: Path) -> Counted:
    """Run the tests of a property in a process of their own."""
    started = time.monotonic()
    words = ["-p", "no:xdist", "-p", "no:cacheprovider", "-m", row.marks, *row.tests]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    return said(done.returncode, done.stdout, done.stderr, time.monotonic() - started)


def said(code: int, out: str, errors: str, seconds: float) -> Counted:
    """Pytest's exit code and output: what was counted by how many tests, and how long it took."""
    counted = [line.strip() for line in errors.splitlines() if line.strip()]
    letters = "".join(PROGRESS.findall(out))
    names = {".": "passed", "F": "failed", "E": "in error", "s": "skipped"}
    tests = [f"{letters.count(sign)} {name}" for sign, name in names.items() if sign in letters]
    words = "; ".join([*counted, f"tests: {', '.join(tests) or 'none'}", f"{seconds:.0f} s"])
    if code:
        return Counted(FAILED, words)
    return Counted(PASSED if "." in letters else SKIPPED, words)


def main(asked: Sequence[str] | None = None) -> int:
    """Count the properties that are asked for, or all of them."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("names", nargs="*", choices=[*PROPERTIES, []], help="default: all")
    given.add_argument("--again", action="store_true")
    wanted = given.parse_args(asked)
    KEPT.mkdir(parents=True, exist_ok=True)
    digest, failed = code_digest(), False
    for name in wanted.names or PROPERTIES:
        file = KEPT / f"{name}.json"
        kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if kept.get("code") == digest and kept["outcome"] == PASSED and not wanted.again:
            print(f"{Counted(PASSED, kept['words']).line(name)} (counted before)", flush=True)
            continue
        counted = count(PROPERTIES[name], KEPT / f"{name}.log")
        file.write_text(
            json.dumps({"code": digest, "outcome": counted.outcome, "words": counted.words}),
            encoding="utf-8",
        )
        print(counted.line(name), flush=True)
        failed |= counted.outcome == FAILED
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
