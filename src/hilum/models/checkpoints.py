"""Side-loaded weight files: read without executing anything, then fitted to a network's names."""

import pickle
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hilum.models import whole_models
from hilum.types import HilumError

State: TypeAlias = dict[str, Tensor]
Shapes: TypeAlias = Mapping[str, torch.Size]

_COUNTER = "num_batches_tracked"
_LEAVES = ("weight", "bias", "running_mean", "running_var")  # the order in which torch keeps them
_PREFIXES = ("", "module.", "model.", "backbone.", "encoder.", "net.")
NESTED = ("state_dict", "model_state_dict", "model", "net")
_OLD_DENSENET = re.compile(r"(\.denselayer\d+\.)(norm|conv)\.([12])\.")
_VGG_CLASSIFIER = {  # torchvision's names
    "classifier.0": "pre_logits.fc1",
    "classifier.3": "pre_logits.fc2",
    "classifier.6": "head.fc",
}


UNREADABLE = (  # what a damaged or hostile pickle makes torch's restricted unpickler raise
    pickle.UnpicklingError,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class MatchedState:
    """Tensors under the network's own names, and the file's names that found no place."""

    state: State
    ignored: tuple[str, ...] = ()


def read_safetensors(path: Path) -> tuple[State, str]:
    """Every tensor of a .safetensors file, and the variant that its header names, if any.

    https://huggingface.co/docs/safetensors
    """
    try:
        with safe_open(path, framework="pt") as file:
            variant = (file.metadata() or {}).get("variant", "")
            return {name: file.get_tensor(name) for name in file.keys()}, variant  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise HilumError(
            f"{path} must be a safetensors file; got: {error}; fetch it again."
        ) from error


def read_torch(
    path: Path, content: BinaryIO | None = None, nested: Sequence[str] = NESTED
) -> State:
    """Every tensor of a .pth or .pt file, unpickled without running any code.

    `content`: the file itself, where `path` only names it. `nested`: the parts of a checkpoint
    that may hold them. A whole model that was saved as Python objects gives its tensors too.

    https://docs.pytorch.org/docs/stable/generated/torch.load.html
    """
    try:
        loaded = _load(content or path)
    except UNREADABLE as error:
        first = str(error).strip().split("\n")[0][:160]
        whole = _whole(path) if content is None else None
        if not whole:
            raise HilumError(
                f"{path} must be a checkpoint that holds tensors alone; got: {first}; "
                "save it as .safetensors and pass that."
            ) from error
        loaded = whole
    return _tensors(loaded, path, nested)


def _load(source: BinaryIO | Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a pickle protocol; it loads or fails
        return torch.load(source, map_location="cpu", weights_only=True)


def _whole(path: Path) -> Any:
    """What torch's own reader refuses because names of classes are in it; None for other files."""
    try:
        return whole_models.read(path)
    except UNREADABLE:
        return None


def match_state(raw: State, wanted: Shapes, optional: Shapes, path: Path | str) -> MatchedState:
    """Bring a file's tensors under the network's names, by name or by order and shape.

    `expected` must all be there; `optional` (the classifier) may be. Batch counters may be absent,
    half precision becomes single. Raises HilumError with the first tensor that does not fit.
    """
    raw = {name: tensor for name, tensor in raw.items() if not name.endswith(_COUNTER)}
    counters = [name for name in wanted if name.endswith(_COUNTER)]
    wanted = {name: shape for name, shape in wanted.items() if not name.endswith(_COUNTER)}
    named = _by_name(raw, wanted) or _by_order(raw, wanted, optional) or raw
    _require(named, wanted, path)
    named = _with_classifier(named, optional)
    fitting = {
        name: tensor.float()
        for name, tensor in named.items()
        if name in wanted or (name in optional and tensor.shape == optional[name])
    }
    fitting |= {name: torch.zeros((), dtype=torch.long) for name in counters}
    return MatchedState(fitting, tuple(sorted(set(named) - set(fitting))))


def _tensors(content: Any, path: Path, nested: Sequence[str]) -> State:
    """The state dictionary, wherever the checkpoint keeps it."""
    for key in nested:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if isinstance(content, Mapping):
        tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
    raise HilumError(
        f"{path} must hold a dictionary of tensors; got {type(content).__name__} without any; "
        "save the network's state_dict()."
    )


def _by_name(raw: State, wanted: Shapes) -> State | None:
    """Rename by stripping a wrapper's prefix, where that yields every name that is expected."""
    plain = {_OLD_DENSENET.sub(r"\1\2\3.", name): tensor for name, tensor in raw.items()}
    for prefix in _PREFIXES:
        renamed = {name.removeprefix(prefix): tensor for name, tensor in plain.items()}
        if renamed.keys() >= wanted.keys():
            return renamed
    return None


def _with_classifier(named: State, optional: Shapes) -> State:
    """VGG's fully connected layers, matrices at torchvision, as the convolutions they are at timm.

    Rows and the order of their values are the same.
    """
    converted: State = {}
    for name, tensor in named.items():
        module, _, leaf = name.rpartition(".")
        ours = f"{_VGG_CLASSIFIER.get(module, module)}.{leaf}"
        shape = optional.get(ours, torch.Size([0]))
        fits = tensor.shape[:1] == shape[:1] and tensor.numel() == shape.numel()
        converted[ours if fits else name] = tensor.reshape(shape) if fits else tensor
    return converted


def _by_order(raw: State, wanted: Shapes, optional: Shapes) -> State | None:
    """Rename by position, where kinds and shapes agree one by one along the whole file."""
    ours, head = list(wanted.items()), list(optional.items())
    for theirs in (list(raw.items()), sorted(raw.items(), key=_natural_key)):
        for candidate in (ours + head, head + ours, ours):
            if _same_layers(theirs, candidate):
                return {name: t for (name, _), (_, t) in zip(candidate, theirs, strict=True)}
    return None


def _natural_key(item: tuple[str, Tensor]) -> tuple[list[tuple[int, str]], int]:
    """Sort key of a module's place in a numbered network; safetensors stores names by alphabet."""
    module, _, leaf = item[0].rpartition(".")
    parts = [(int(part), "") if part.isdigit() else (-1, part) for part in module.split(".")]
    return parts, _LEAVES.index(leaf) if leaf in _LEAVES else len(_LEAVES)


def _same_layers(theirs: list[tuple[str, Tensor]], candidate: list[tuple[str, torch.Size]]) -> bool:
    return len(theirs) == len(candidate) and all(
        their_name.rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1] and tensor.shape == shape
        for (their_name, tensor), (name, shape) in zip(theirs, candidate, strict=True)
    )


def _require(named: State, wanted: Shapes, path: Path | str) -> None:
    for name, shape in wanted.items():
        if name not in named:
            raise HilumError(
                f"{path} must hold the tensor {name!r} of shape {tuple(shape)}; got a file without "
                f"it ({len(named)} tensors, {next(iter(named), 'none')!r} first); "
                "pass weights of this very network."
            )
        if named[name].shape != shape:
            raise HilumError(
                f"{path} must hold {name!r} with shape {tuple(shape)}; "
                f"got {tuple(named[name].shape)}; pass weights of this very network."
            )
