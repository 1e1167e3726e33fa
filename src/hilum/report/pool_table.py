"""Which maps of the network the head sees, where each fold chose them: a table of the choice."""

from collections.abc import Mapping
from typing import Any

from hilum.models.pools import name_of
from hilum.report.printed_table import PrintedTable
from hilum.report.run_folder import RunFolder
from hilum.report.wording import number

LABEL = "Held-out loss and AUROC of each pool, fold by fold"


def pool_table(run: RunFolder) -> PrintedTable | None:
    """A row for each fold of the chosen model; None where there was nothing to choose."""
    recorded = run.section("model").get("pool_choice")
    rows = [row for row in recorded or [] if isinstance(row, Mapping) and row["cell"] == run.cell]
    if not rows:
        return None
    names = list(dict.fromkeys(name_of(one["pool"]) for row in rows for one in row["candidates"]))
    seeds = len({row["seed"] for row in rows}) > 1
    lines = [[*_which(row, seeds), *_candidates(row, names), name_of(row["pool"])] for row in rows]
    head = ["Fold" if not seeds else "Seed, fold", *names, "Chosen"]
    return PrintedTable(head, lines, LABEL)


def _which(row: Mapping[str, Any], seeds: bool) -> list[str]:
    fold = str(int(row["fold"]) + 1)
    return [f"{row['seed']}, {fold}" if seeds else fold]


def _candidates(row: Mapping[str, Any], names: list[str]) -> list[str]:
    """The loss of each pool, in brackets its AUROC."""
    found = {name_of(one["pool"]): one for one in row["candidates"]}
    return [
        f"{number(found[name]['loss'])} ({number(found[name].get('auroc'))})"
        if name in found
        else "–"
        for name in names
    ]
