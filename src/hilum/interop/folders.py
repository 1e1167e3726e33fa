"""The forms of an export that other libraries load: one row each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hilum.interop import huggingface_folder, monai_bundle
from hilum.types import HilumError


@dataclass(frozen=True, slots=True)
class FolderFormat:
    """What writes the folder, and the sentence that says how it is used."""

    write: Callable[[Path, Path], Path]  # (model's folder, out) -> out
    use: str


FORMATS = {
    "huggingface": FolderFormat(
        huggingface_folder.export_huggingface,
        "Load it with HilumClassifier.from_pretrained of its modeling_hilum.py.",
    ),
    "monai": FolderFormat(
        monai_bundle.export_monai,
        "Run it with python -m monai.bundle run --config_file configs/inference.json.",
    ),
}


def export_folder(format_: str, folder: Path, out: Path, precision: str, proof: object) -> str:
    """Write a model in one of FORMATS to `out`; how it is used.

    Raises HilumError for a precision other than fp32, for a proof, which these have of their own,
    and as the format's own function does.
    """
    if precision != "fp32" or proof is not None:
        raise HilumError(
            f"export for {format_} takes neither --precision nor --proof: it holds the weights in "
            "fp32, and is checked on phantom films; leave them out, or choose --format onnx."
        )
    FORMATS[format_].write(folder, out)
    return FORMATS[format_].use
