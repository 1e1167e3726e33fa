"""What an earlier run has left in `--out`: cleared away before another one begins there.

`model/`, `manifest.parquet` and `recipe.toml` stay until they are replaced: the new run may stand
on them. Without `results.json` they are no finished run.
"""

from pathlib import Path

TABLES = (
    "results.json",  # first: where it stands, all the others do
    "report.html",
    "predictions.csv",
    "source_predictions.csv",
    "later_predictions.csv",
    "splits.csv",
    "history.csv",
    "left_out.csv",
    "across_sources.csv",
    "look_alikes.csv",
    "findings.csv",
    "blacked_out.npz",
    "basis.parquet",
)
FIGURES = ("*.png", "*.csv", "*.npz", "thumbnails/*.jpg")


def clear(out: Path, tasks: bool = True) -> None:
    """Remove the tables and figures that an earlier run wrote to `out`, and to its tasks' folders.

    Nothing is touched in a folder that holds no run.
    """
    if not (out / "results.json").is_file() and not (out / "work").is_dir():
        return
    for name in TABLES:
        (out / name).unlink(missing_ok=True)
    for pattern in FIGURES:
        for path in (out / "figures").glob(pattern):
            path.unlink()
    for folder in (out / "tasks").glob("*") if tasks else ():
        clear(folder)
