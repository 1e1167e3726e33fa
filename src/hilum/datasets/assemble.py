"""The last step of every reader: fill what is the same for all rows and build the manifest."""

from pathlib import Path

import pandas as pd

from hilum.data import manifest
from hilum.datasets.base import DatasetCard
from hilum.datasets.class_names import REPORTED, says_less
from hilum.datasets.tally import EXAMPLES, Tally
from hilum.datasets.vocabulary import plain_term
from hilum.types import MANIFEST_COLUMNS, Manifest, MissingError


def assemble(
    card: DatasetCard, root: Path, rows: pd.DataFrame, tally: Tally, notes: tuple[str, ...] = ()
) -> Manifest:
    """Make the manifest of `rows`: `file` is the path below `root`, other columns as they are.

    Columns that the manifest does not have are dropped; source, modality and licence come from
    the card where `rows` does not bring them. Raises MissingError where no row is left.
    """
    if rows.empty:
        why = "; ".join(f"{item.what}: {item.reason}" for item in tally.left_out())
        raise MissingError(
            f"{card.title} must have images in {str(root)!r}; got no usable one "
            f"({why or 'no image file at all'}); {card.advice}"
        )
    constant = {"source": card.name, "modality": card.modality, "licence": card.licence}
    columns = [name for name in MANIFEST_COLUMNS if name in rows.columns]
    full = rows[columns].assign(
        path=rows["file"], **{name: text for name, text in constant.items() if name not in columns}
    )
    notes = (*notes, *_merged(card, full))
    return manifest.assemble_manifest(full, card.name, tally.left_out(), notes, root)


def _merged(card: DatasetCard, rows: pd.DataFrame) -> list[str]:
    """Which of the publisher's findings make up each class, where the card gives it several."""
    if not {"finding", "label"} <= set(rows.columns):
        return []
    classes = rows.groupby("label", sort=True)["finding"].unique()
    notes = [
        f"{card.title}: class {label} holds {len(findings)} findings of the publisher, such as "
        f"{', '.join(map(repr, sorted(map(str, findings))[:EXAMPLES]))}."
        for label, findings in classes.items()
        if len(findings) > 1
    ]
    silent = [str(name) for name in classes.get("normal", ()) if plain_term(str(name)) in REPORTED]
    return notes + [f"{card.title}: {says_less(name)}" for name in silent]
