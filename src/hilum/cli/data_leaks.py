"""hilum data leaks: twins inside a set, across its published parts, and between sets."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilum.api.own_images import OwnImages
from hilum.cli.app import Data, Json, Quiet, Verbose, terminal
from hilum.cli.data import data as commands
from hilum.cli.open_data import open_set, title
from hilum.cli.terminal import LISTED, Terminal
from hilum.types import Leak, LeftOut

if TYPE_CHECKING:
    import pandas as pd

    from hilum.data.prepared_dataset import PreparedDataset

KINDS = ("same bytes", "same pixels", "near duplicate", "same patient")


@dataclass(frozen=True, slots=True)
class Inside:
    """What one set holds twice; `pairs` has a row per pair of twins (leakage.TWIN_COLUMNS)."""

    name: str
    images: int
    counts: dict[str, int]  # kind -> pairs of images
    labels_differ: int
    patients_differ: int
    across_parts: dict[str, int]  # kind -> pairs on two sides of the publisher's split
    patients_in_two_parts: int
    pairs: list[dict[str, Any]]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """What two sets share."""

    first: str
    second: str
    counts: dict[str, int]
    pairs: list[Leak]


@commands.command()
def leaks(
    paths: Annotated[
        list[str], typer.Argument(help="Folders, tables, or names from `hilum data list`.")
    ],
    data: Data = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Find duplicates inside one set, and images and patients that several sets share."""
    screen = terminal(as_json, verbose, quiet)
    with screen.working():
        prepared = {path: _prepared(path, data, screen) for path in dict.fromkeys(paths)}
    inside = [_inside(path, images) for path, images in prepared.items()]
    shared = [
        _between(pair, (prepared[pair[0]], prepared[pair[1]])) for pair in combinations(prepared, 2)
    ]
    for one in inside:
        _show_inside(one, screen)
    for other in shared:
        _show_between(other, screen)
    screen.give({"sets": inside, "between": shared})


def _prepared(path: str, data: Path | None, screen: Terminal) -> "PreparedDataset":
    from hilum.data import prepared_dataset

    manifest = open_set(path, data, screen, OwnImages(), unlabelled=True)
    return prepared_dataset.prepare_dataset(
        manifest,
        prepared_dataset.ThumbnailOnly(),
        screen.step(f"fingerprints of {title(path)}"),
        keep_sources=False,  # nobody looks at the films again
    )


def _inside(path: str, prepared: "PreparedDataset") -> Inside:
    from hilum.data import leakage as finding

    table = prepared.manifest.table
    twins = finding.within(prepared.manifest, prepared.fingerprints)
    part = table.set_index("sample_id")["official_part"]
    one, other = (twins[side].map(part) for side in ("first", "second"))
    apart = one.notna() & other.notna() & one.ne(other).fillna(value=False)
    return Inside(
        name=path,
        images=len(table),
        counts=_counted(twins["kind"]),
        labels_differ=int(twins["labels_differ"].sum()),
        patients_differ=int(twins["patients_differ"].sum()),
        across_parts=_counted(twins["kind"][apart]),
        patients_in_two_parts=int(
            (table.groupby("patient_id")["official_part"].nunique() > 1).sum()
        ),
        pairs=_rows(twins.assign(first_part=one, second_part=other, parts_differ=apart)),
        left_out=prepared.left_out,
    )


def _between(names: Sequence[str], sets: Sequence["PreparedDataset"]) -> Between:
    from hilum.data import leakage as finding

    first, second = ((one.manifest, one.fingerprints) for one in sets)
    pairs = finding.between(first, second, _titles(names[0], names[1]))
    return Between(names[0], names[1], _counted([leak.kind for leak in pairs]), pairs)


def _titles(first: str, second: str) -> tuple[str, str]:
    """What two sets are called; whole paths where their files have one name."""
    short = title(first), title(second)
    return short if short[0] != short[1] else (first, second)


def _counted(kinds: "Sequence[str] | pd.Series") -> dict[str, int]:
    counts = Counter(kinds)
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def _rows(twins: "pd.DataFrame") -> list[dict[str, Any]]:
    filled = twins.astype(object).where(twins.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in filled.to_dict("records")]


def _show_inside(within: Inside, screen: Terminal) -> None:
    screen.left_out(within.left_out)
    screen.gap()
    pairs = sum(within.counts.values())
    if not pairs:
        screen.say(f"{title(within.name)}: no twins among {within.images:,} images.", "bold")
    else:
        screen.say(
            f"{title(within.name)}: {pairs:,} pairs of twins among {within.images:,} images; "
            f"{within.labels_differ:,} pairs differ in their label, "
            f"{within.patients_differ:,} in their patient.",
            "bold",
        )
    if within.patients_in_two_parts:
        screen.say(
            f"{within.patients_in_two_parts:,} patients are in two parts of the published split.",
            "red",
        )
    rows = [(kind, n, within.across_parts.get(kind, 0)) for kind, n in within.counts.items()]
    screen.table("Twins", ("kind", "pairs", "across parts of the published split"), rows)
    # contradictions first: they are what the user must decide about
    worst = sorted(within.pairs, key=lambda row: -len(_differing(row)))
    shown = worst if screen.verbosity > 0 else worst[:LISTED]
    examples = [
        (row["kind"] if side == "first" else "", _named(row, side))
        for row in shown
        for side in ("first", "second")
    ]
    screen.table(_heading(len(shown), len(worst)), ("kind", "images"), examples)


def _differing(row: dict[str, Any]) -> list[str]:
    """In what two twins contradict each other: label, part or patient."""
    return [what for what in ("label", "part", "patient") if row[f"{what}s_differ"]]


def _named(row: dict[str, Any], side: str) -> str:
    """An image below its set, and what of it its twin contradicts."""
    name = str(row[side]).partition("/")[2] or str(row[side])
    values = ", ".join(str(row[f"{side}_{what}"]) for what in _differing(row))
    return f"{name} ({values})" if values else name


def _show_between(between: Between, screen: Terminal) -> None:
    screen.gap()
    names = " and ".join(_titles(between.first, between.second))
    if not between.pairs:
        screen.say(f"{names} share no patient and no image.", "bold")
        return
    screen.say(f"{names} share {len(between.pairs):,} pairs.", "bold")
    screen.table("Shared", ("kind", "pairs"), list(between.counts.items()))
    if "same patient" in between.counts:
        screen.say("Patients are the same by number: two hospitals may have given out one twice.")
    shown = between.pairs if screen.verbosity > 0 else between.pairs[:LISTED]
    rows = [row for leak in shown for row in ((leak.kind, leak.first), ("", leak.second))]
    screen.table(_heading(len(shown), len(between.pairs)), ("kind", "images"), rows)


def _heading(shown: int, pairs: int) -> str:
    return "All of them" if shown == pairs else f"{shown} of {pairs:,} (-v lists all)"
