"""What an export needs besides hilum itself, said before any work."""

from importlib.util import find_spec

from hilum.models.runtime import compiling
from hilum.models.runtime.base import Target
from hilum.types import HilumError, nearest_name

GRAPHS = {"onnx": "model.onnx", "openvino": "model.xml"}  # format -> the file of the graph
FOLDERS = ("huggingface", "monai")  # of other libraries: hilum.interop writes them
FORMATS = (*GRAPHS, *FOLDERS)
PRECISIONS = ("fp32", "bf16", "int8")


def require(format_: str, precision: str, *, proof: bool) -> None:
    """Raise HilumError for a format or precision that there is not, or cannot be had here."""
    _one_of("a format of an export", format_, FORMATS)
    _one_of("a precision of an export", precision, PRECISIONS)
    wanted = ["onnx", "onnxscript"]
    wanted += ["onnxruntime"] if format_ == "onnx" else []
    wanted += ["ml_dtypes"] if precision == "bf16" else []
    wanted += ["nncf"] if precision == "int8" else []
    missing = [name for name in wanted if find_spec(name) is None]
    if missing:
        raise HilumError(
            f"export in {format_}, {precision} needs packages that are not installed: "
            f"{', '.join(missing)}; run pip install 'hilum[export]'."
        )
    if precision == "int8" and not proof:
        raise HilumError(
            "precision int8 is calibrated and tested on images of the model's own "
            "kind; got none; give a folder of at least 200 with --proof."
        )
    compiling.openvino_computes(Target(device="cpu", engine="openvino"))


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        hint = nearest_name(value, known, "choose one of these.")
        raise HilumError(f"{what} is one of {', '.join(known)}; got {value!r}; {hint}")
