"""The network of a model folder, read only where its layers are needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from hilum.inference import unchanged
from hilum.inference.model_json import read_metadata
from hilum.types import HilumError

if TYPE_CHECKING:  # an answer needs no torch where the network's conversion is found
    from hilum.models.backbone import Backbone

TENSORS = "backbone.safetensors"


@dataclass(slots=True)
class LazyBackbone:
    """The backbone of a model folder, read when it is first asked for."""

    folder: Path
    record: dict[str, Any]
    _read: "Backbone | None" = None

    @property
    def has_tensors(self) -> bool:
        """Whether the folder has the tensors: an exported one has its graph alone."""
        return (self.folder / TENSORS).is_file()

    def read(self) -> "Backbone":
        """Raises HilumError where the tensors are damaged or do not fit the record."""
        if self._read is None:
            from safetensors.torch import load_file as load_tensors

            from hilum.models import backbones

            path = self.folder / TENSORS
            if not self.has_tensors:
                raise HilumError(
                    "audits of the network need its tensors; got "
                    f"{str(self.folder)!r} without {TENSORS}, as an exported folder is; "
                    "name the model folder that it was made from."
                )
            with readable(self.folder):
                tensors = load_tensors(path)
            unchanged.require_files(self.folder, read_metadata(self.folder), [TENSORS])
            self._read = backbones.rebuild_backbone(self.record, tensors)
        return self._read


@contextmanager
def readable(folder: Path) -> Iterator[None]:
    """One sentence where the tensors of a model folder cannot be read."""
    try:
        yield
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise HilumError(
            f"the tensors of {folder} must be readable; got {error}; restore the folder."
        ) from None
