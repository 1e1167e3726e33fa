"""Pictures that may not belong among films: left out where there are better ones, or noted."""

from pathlib import Path

import pandas as pd

from hilum.types import LeftOut

KIND = "kind"  # column that a reader's rows have until the manifest is made
LOCALIZER, PROCESSING = "localizer", "for processing"
WORDS = {
    LOCALIZER: "Localizers (Image Type LOCALIZER: scout views from which a CT scan is planned)",
    PROCESSING: "Images FOR PROCESSING (detector values that are not meant to be looked at)",
    "secondary capture": (
        "Secondary captures (SOP class or Image Type: screen saves, scanned films, exports)"
    ),
    "derived": "Slices derived from others (Image Type SECONDARY: reformatted or projected)",
}
REASONS = {
    LOCALIZER: "a localizer (Image Type LOCALIZER) among other images of its class",
    PROCESSING: "FOR PROCESSING, next to an image of the same patient that is for presentation",
}


def set_apart(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[LeftOut], list[str]]:
    """Rows without the column `kind`, what it says to leave out, and a note on what stays.

    Localizers go where their class has other images, images FOR PROCESSING where their patient has
    others of the same modality in the class. Whatever else is no common film or slice stays, and a
    note counts it.
    """
    if KIND not in rows.columns:
        return rows, [], []
    kinds = rows[KIND]
    usual = ~kinds.isin([LOCALIZER, PROCESSING])
    scouts = (kinds == LOCALIZER) & _beside(kinds != LOCALIZER, [rows["label"]])
    twins = (kinds == PROCESSING) & _beside(
        usual, [rows["label"], rows["patient_id"], rows["modality"]]
    )
    left_out = [
        LeftOut(str(path), REASONS[str(kind)])
        for path, kind in zip(rows["path"][scouts | twins], kinds[scouts | twins], strict=True)
    ]
    kept = rows[~(scouts | twins)].reset_index(drop=True)
    return kept.drop(columns=KIND), left_out, _notes(kept)


def _beside(chosen: "pd.Series[bool]", groups: list[pd.Series]) -> "pd.Series[bool]":
    """Whether any row of each row's group is expected; groups with an unknown name have none."""
    complete = pd.concat(groups, axis=1).notna().all(axis=1)
    return chosen.groupby(groups).transform("any").where(complete, other=False).astype(bool)


def _notes(rows: pd.DataFrame) -> list[str]:
    counts = rows[KIND].dropna().value_counts()
    return [_note(str(kind), int(count), rows) for kind, count in counts.items()]


def _note(kind: str, count: int, rows: pd.DataFrame) -> str:
    words = WORDS.get(kind, f"Neither radiograph nor CT slice ({kind})")
    first = Path(str(rows.loc[rows[KIND] == kind, "path"].iloc[0])).name
    return (
        f"{words}: {count:,} of {len(rows):,} images, such as {first}. They count as images of "
        "their class; take them out of the set unless they belong there."
    )
