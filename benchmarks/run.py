"""`make bench`: the benchmarks in turn, each in a process of its own, and one table of all.

    python benchmarks/run.py [--quick | --full] [--data FOLDER] [--only NAME ...]

Writes out/bench/<name>.csv, all.csv and all.md. A benchmark that fails does not hide the others.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import pandas as pd

from side_by_side import load, markdown

HERE = Path(__file__).resolve().parent
SCRIPTS = (
    "decode", "features", "precision", "frozen", "latency", "export", "serve", "node", "start",
    "fine_tuning", "growth", "neighbours", "scale",
)  # fmt: skip


def main() -> None:
    """Run the scripts asked for and join their tables."""
    parser = argparse.ArgumentParser(description="Every benchmark in turn.")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=SCRIPTS)
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    given = parser.parse_args()
    flags = [f"--{name}" for name in ("quick", "full") if getattr(given, name)]
    flags += ["--data", str(given.data)] if given.data else []
    given.out.mkdir(parents=True, exist_ok=True)
    about, failed = [f"Before: {load()}."], []
    for name in given.only:
        print(f"\n== {name}", flush=True)
        out = given.out / f"{name}.csv"
        out.unlink(missing_ok=True)
        command = [sys.executable, str(HERE / f"{name}.py"), *flags, "--out", str(out)]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
        about.append(f"After {name}: {load()}.")
    made = [given.out / f"{name}.csv" for name in SCRIPTS if (given.out / f"{name}.csv").is_file()]
    table = pd.concat([pd.read_csv(path) for path in made], ignore_index=True)
    table.to_csv(given.out / "all.csv", index=False)
    text = "\n".join([markdown(table), "", *about])
    (given.out / "all.md").write_text(text + "\n")
    print(f"\n{text}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
