"""Make the golden files anew: `python tests/golden/make.py [FOLDER]`, by the command line alone.

With PYTHONPATH naming the `src` of another version they are that version's. Those that are stored
are 11fe2a8's, so that what it predicted, scored and wrote is what every later version does.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from commands import CODES, HERE, JSON, answer, hilum, keys, places, run_both, scores

TABLES = ("predictions.csv", "splits.csv")
MODEL = ("model.json", "head.safetensors", "gate.safetensors", "seen.csv")  # the backbone is known


def make(work: Path, folder: Path) -> None:
    """Run everything in `work` and keep what is compared in `folder`."""
    run_both(work)
    model = work / "two_cells" / "model"
    hilum("predict", model, work / "demo" / "data" / "images", "--out", work / "preds.csv", "-q")
    hilum("evaluate", model, work / "demo" / "manifest.parquet", "--out", work / "evaluated", "-q")
    _table(work / "preds.csv", folder / "preds.csv", work)
    for name in ("demo", "two_cells", "evaluated"):
        (folder / name).mkdir(exist_ok=True)
        for table in TABLES:
            _table(work / name / table, folder / name / table, work)
        _rows(folder / name / "scores.json", scores(work / name))
    (folder / "model").mkdir(exist_ok=True)
    for name in MODEL:
        shutil.copyfile(model / name, folder / "model" / name)
    found = places(work)
    answers = {name: answer(command, found, work / f"json{i}", "--json")
               for i, (name, command) in enumerate(JSON.items())}  # fmt: skip
    _json(folder / "json_keys.json", {n: keys(json.loads(out)) for n, (_, out) in answers.items()})
    codes = {command: answer(command, found, work / f"code{i}")[0]
             for i, command in enumerate(CODES)}  # fmt: skip
    _json(folder / "exit_codes.json", codes)


def _table(source: Path, target: Path, work: Path) -> None:
    """A table with paths from `work` on."""
    target.write_text(source.read_text(encoding="utf-8").replace(f"{work}/", ""), encoding="utf-8")


def _rows(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n", encoding="utf-8")


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        make(Path(temporary), Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
