"""What a user says of images of their own: columns of a table, a table of labels, a DICOM tag."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.types import HilumError, as_path

if TYPE_CHECKING:
    from hilum.images import Readers
    from hilum.types import Manifest

    Reader = Callable[[Path], Manifest]


@dataclass(frozen=True, slots=True)
class TableColumns:
    """Which column of a table holds what, where its name does not tell; None: the usual names.

    >>> import hilum
    >>> hilum.TableColumns(label="Diagnosis", patient="MRN").roles()
    {'label': 'Diagnosis', 'patient_id': 'MRN'}
    """

    path: str | None = None  # of the image's file
    label: str | None = None  # the class
    patient: str | None = None
    source: str | None = None  # the hospital
    view: str | None = None  # PA, AP, lateral
    split: str | None = None  # train, validation, test

    def roles(self) -> dict[str, str]:
        """The columns that are named, by what they hold in a manifest."""
        named = {
            "path": self.path,
            "label": self.label,
            "patient_id": self.patient,
            "source": self.source,
            "view": self.view,
            "official_part": self.split,
        }
        return {role: name for role, name in named.items() if name is not None}


@dataclass(frozen=True, slots=True)
class OwnImages:
    """All that train, evaluate and scan take with a path; HilumError where two things differ."""

    columns: TableColumns = field(default_factory=TableColumns)
    labels: str | Path | None = None  # a CSV, from anywhere, that labels a folder's images
    source_tag: str | None = None  # the DICOM element that is the source, or "none"

    def __post_init__(self) -> None:
        """Refuse what is no TableColumns or tag, and two sources."""
        if not isinstance(self.columns, TableColumns):
            raise HilumError(
                f"columns are named by hilum.TableColumns(label=...); got {self.columns!r}; "
                "write them so."
            )
        if not isinstance(self.source_tag, str | None):
            raise HilumError(
                f"source_tag names a DICOM element, or is 'none'; got {self.source_tag!r}; "
                "correct it."
            )
        if self.source_tag is not None and self.columns.source is not None:
            raise HilumError(
                "the source of an image is a table's column or a DICOM element; got "
                "both (--source-column and --source-tag); leave one out."
            )

    def change(self, path: str | Path) -> str:
        """The change that makes a recipe's `data` the images at `path`."""
        from hilum import recipes

        keys = {"path": str(as_path(path)), "labels": self._labels, "source_tag": self._source_tag}
        return recipes.own_data(keys, self.columns.roles())

    def open(
        self,
        path: str | Path,
        progress: Callable[[int, int], None] | None = None,
        *,
        unlabelled: bool = False,
        fewest: int = 2,
        workers: "Readers" = 1,
    ) -> "Manifest":
        """The images at `path`, a row each; at least `fewest` classes, or none if `unlabelled`.

        `workers` processes read DICOM headers.
        """
        from hilum import datasets

        columns = datasets.columns_from_roles(self.columns.roles())
        options = datasets.TreeOptions(self._labels, self._source_tag, unlabelled, fewest, workers)
        return datasets.open_path(path, columns, progress, options)

    def reader(
        self, headers: Callable[[], Callable[[int, int], None]], workers: "Readers" = 1
    ) -> "Reader":
        """How a finished model opens a path: one class is enough; `headers` begins its step."""

        def read(path: Path) -> "Manifest":
            return self.open(path, headers(), fewest=1, workers=workers)

        return read

    @property
    def _labels(self) -> str:
        return "" if self.labels is None else str(as_path(self.labels))

    @property
    def _source_tag(self) -> str:
        return self.source_tag or ""
