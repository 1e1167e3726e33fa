"""The commands whose JSON keys and exit codes are pinned, and a way to run them in this process."""

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RECIPE = HERE / "two_cells.toml"
DEMO = ("data=[{phantom={images=64, size=96, seed=7}}]", "model.precision=fp32", "figures=[]")
FIGURES = "study,dataset,model,init,freeze,class,metric,value,where\n"
# {run}: a finished run; {films}: a folder of films; {one}: one of them; {new}: a place of its own
JSON = {
    "run": "run {recipe} --quick --resume --out {run}",
    "predict": "predict {run}/model {one} --out {new}/p.csv",
    "explain": "explain {run}/model {one} --out {new}",
    "evaluate": "evaluate {run}/model {other}/manifest.parquet --out {new}",
    "audit": "audit {run} --out {new}",
    "compare": "compare {run} {run}",
    "check-table": "check-table {work}/possible.csv",
    "prepare": "prepare {films} --steps clahe --out {new}",
    "recipes": "recipes",
    "show": "show {recipe}",
    "doctor": "doctor",
    "data list": "data list",
    "data scan": "data scan {run}/manifest.parquet",
    "data leaks": "data leaks {run}/manifest.parquet {other}/manifest.parquet",
}
CODES = (
    "recipes",
    "show {recipe}",
    "show zhang2023",
    "show demo --mode paper",
    "run zhang2023 --out {new}",
    "run {recipe} --set model.backbon=x --out {new}",
    "run {recipe} --weights {work}/nowhere.safetensors --out {new}",
    "run cohen_vs_nih --data {empty} --out {new}",
    "train {work}/nowhere --out {new}",
    "train {empty} --out {new}",
    "predict {run}/model {one} --out {new}/p.csv",
    "predict {run}/model {work}/nowhere.png --out {new}/p.csv",
    "predict {empty} {one} --out {new}/p.csv",
    "predict {run}/model {empty} --out {new}/p.csv",
    "explain {run}/model {one} --method gradcamm --out {new}",
    "evaluate {run}/model {work}/nowhere --out {new}",
    "audit {empty} --out {new}",
    "compare {run} {empty}",
    "check-table {work}/possible.csv --strict",
    "check-table {work}/impossible.csv --strict",
    "check-table {work}/impossible.csv",
    "prepare {films} --steps clah --out {new}",
    "prepare {work}/nowhere --steps clahe --out {new}",
    "data scan {run}/manifest.parquet",
    "data scan {work}/nowhere",
    "data leaks {work}/nowhere",
    "data fetch nobody",
    "--nonsense",
    "predict",
)


def hilum(*words: str | Path) -> tuple[int, str]:
    """Run a command of the hilum that Python finds: exit code and what it prints."""
    from hilum.cli import main

    before, sys.argv = sys.argv, ["hilum", *map(str, words)]
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            main()
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    finally:
        sys.argv = before
    raise AssertionError("a command ends by SystemExit")


def places(work: Path) -> dict[str, Path]:
    """What the placeholders of the commands stand for; two runs lie in `work` already."""
    films = work / "demo" / "data" / "images"
    (work / "possible.csv").write_text(FIGURES + "1,d,m,,,covid,recall,0.5,Table 1\n")
    (work / "impossible.csv").write_text(FIGURES + "1,d,m,,,covid,recall,1.5,Table 1\n")
    (work / "empty").mkdir(exist_ok=True)
    return {
        **{"work": work, "recipe": RECIPE, "run": work / "two_cells", "other": work / "demo"},
        **{"films": films, "one": min(films.iterdir()), "empty": work / "empty"},
    }


def answer(command: str, found: dict[str, Path], new: Path, *more: str) -> tuple[int, str]:
    """One of the commands, its placeholders filled in."""
    return hilum(*(word.format(**found, new=new) for word in command.split()), *more)


def keys(value: Any) -> list[str]:
    """The keys of an answer, and those of its lists' records as "scores[].cell"."""
    if isinstance(value, list):
        return sorted({f"[].{key}" for item in value if isinstance(item, dict) for key in item})
    inside = [f"{key}{name}" for key, item in value.items() if isinstance(item, list)
              for name in keys(item)]  # fmt: skip
    return sorted([*value, *inside])


def run_both(work: Path) -> None:
    """The two runs that everything else stands on."""
    changes = [word for change in DEMO for word in ("--set", change)]
    for words in (("demo", *changes), (RECIPE, "--quick")):
        name = Path(words[0]).stem
        code, said = hilum("run", *words, "--out", work / name, "-q")
        assert code == 0, said


def scores(run: Path) -> list[dict[str, Any]]:
    """The scores of a run's results, without keys that later versions added."""
    kept = ("cell", "name", "class", "value", "k", "n", "low", "high", "method")
    found = json.loads((run / "results.json").read_text(encoding="utf-8"))["scores"]
    return [{key: row[key] for key in kept} for row in found]
