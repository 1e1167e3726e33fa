"""Where a backbone's weights come from: a side-loaded file, the cache, a package or the hub."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from hilum import files
from hilum.models import (
    checkpoints,
    hub,
    keras_files,
    layouts,
    networks,
    weights_3d,
    weights_keras,
)
from hilum.models.cards import BackboneCard
from hilum.models.checkpoints import Shapes, State
from hilum.types import HilumError, MissingError, as_path

TUNED = "tuned from "  # begins the origin of weights that have learned images here


@dataclass(frozen=True, slots=True)
class Weights:
    """Tensors under timm's names (float32), and what must be said about them."""

    state: State  # the classifier's too, where the source has one
    digest: str  # SHA-256 of the backbone's tensors, whatever file they came in
    origin: str  # a sentence's worth: where they were found
    licence: str
    variant: str = ""  # how the network differs from timm's, see networks.VARIANTS
    ignored: tuple[str, ...] = ()  # the file's tensors that the network has no place for

    @property
    def tuned(self) -> bool:
        """Whether they were trained on images here, which they may have memorised."""
        return is_tuned(self.origin)

    def without_state(self) -> "Weights":
        """The record alone, for provenance."""
        return replace(self, state={})


def is_tuned(origin: str) -> bool:
    """The same from the record of where weights came from."""
    return origin.startswith(TUNED)


def load_weights(card: BackboneCard, which: str | Path, seed: int = 0, keep: int = 0) -> Weights:
    """Weights for `card`: "imagenet" for its own, "random" (from `seed`), a short name or a file.

    A card's own are looked for in the cache, the installed packages, the hub's own cache and on
    the hub, in this order. Random ones come with the first `keep` fully connected layers.
    Raises MissingError where none of them has the weights, HilumError where a file does not fit.
    """
    if which == "random":
        return _random_weights(card, seed, keep)
    if which == "imagenet" or which in card.names:
        return read_weights(card, *_locate(card, str(which)))
    return read_weights(card, as_path(which))


def require_weights(card: BackboneCard, which: str | Path) -> None:
    """Find the weights that `load` would read, and read nothing. Raises as `load` does."""
    file_of(card, which)


def file_of(card: BackboneCard, which: str | Path) -> Path | None:
    """The file or folder that `load` would read, None for random weights. Raises as `load` does."""
    if which == "random":
        return None
    if which == "imagenet" or which in card.names:
        return _locate(card, str(which))[0]
    path = as_path(which)
    _require_file(card, path)
    return path


def read_weights(card: BackboneCard, path: Path, origin: str = "") -> Weights:
    """Weights from .safetensors, .pth, .pt, Keras .h5, or a TensorFlow.js folder or .tgz.

    Raises MissingError where there is no such file, HilumError where it does not fit.
    """
    _require_file(card, path)
    raw, variant = _raw(card, path)
    wanted, optional = shapes(card)
    fitted = checkpoints.match_state(raw, wanted, optional, path)
    layouts.require_whole(card, fitted.ignored, path)
    licence = card.licence if origin else f"unknown: the licence of {path.name}"
    origin = origin or f"file {path.name}"
    return Weights(
        fitted.state, state_digest(fitted.state, wanted), origin, licence, variant, fitted.ignored
    )


def _raw(card: BackboneCard, path: Path) -> tuple[State, str]:
    """A file's tensors and variant; of a network of volumes, for single slices."""
    if not card.parts:
        raw, variant = _reader(path)(card, path)
        return layouts.rename(card, raw), variant
    if path.name == weights_3d.FILE:
        return weights_3d.collapse(weights_3d.read_parts(card, weights_3d.find_parts(card))), ""
    state, variant = _reader(path)(card, path)
    return weights_3d.collapse(state), variant


def cache_path(card: BackboneCard) -> Path:
    """Where a user may put a backbone's weights once and for all."""
    return files.cache_home() / "weights" / f"{card.name}.safetensors"


def release_folder() -> Path:
    """Where torchxrayvision keeps the files that it has fetched."""
    return Path(os.path.expanduser("~/.torchxrayvision/models_data"))  # noqa: PTH111  # never fails


def at_hand(card: BackboneCard) -> list[tuple[Path, str]]:
    """Every copy of the ImageNet weights on this machine, the one that `load` takes first."""
    places = (_in_cache, _in_package, _in_release_folder, _in_hub_cache)
    return [] if card.own else [found for place in places if (found := place(card)) is not None]


def shapes(card: BackboneCard) -> tuple[Shapes, Shapes]:
    """(backbone, classifier) tensor shapes by name."""
    wanted = _shapes(networks.outline(card))
    everything = _shapes(networks.outline(card, classifier=True))
    return wanted, {name: shape for name, shape in everything.items() if name not in wanted}


def state_digest(state: State, wanted: Shapes) -> str:
    """SHA-256 over the names, shapes and float32 values of the expected tensors; counters aside."""
    total = hashlib.sha256()
    for name in sorted(wanted):
        if not name.endswith("num_batches_tracked"):
            tensor = state[name].detach().cpu().contiguous() + 0.0  # -0.0 and 0.0 are one
            total.update(f"{name} {tuple(tensor.shape)} {tensor.dtype};".encode())
            total.update(tensor.numpy().data)
    return total.hexdigest()


def _random_weights(card: BackboneCard, seed: int, keep: int) -> Weights:
    with torch.random.fork_rng(devices=[]):  # the caller's random state stays as it was
        torch.manual_seed(seed)
        network = networks.create(card, keep=keep)
    state = network.state_dict()
    return Weights(
        state, state_digest(state, _shapes(network)), f"random, seed {seed}", "none needed"
    )


def _require_file(card: BackboneCard, path: Path) -> None:
    if not path.exists():
        raise MissingError(
            f"weights of {card.name} must be a file; got {str(path)!r}, which does not exist; "
            "give the path of a file, or imagenet, or random."
        )
    _reader(path)


def _locate(card: BackboneCard, which: str = "imagenet") -> tuple[Path, str]:
    """The file of a card's own weights, and where it was found."""
    if card.own:
        raise MissingError(
            f"{card.name} was never trained on ImageNet; got weights 'imagenet'; set model.weights "
            "to random, or to a file of weights that you trained."
        )
    if card.named:
        return _locate_named(card, which)
    places = (_in_cache, _in_parts) if card.parts else (_in_cache, _in_package, _on_hub)
    for place in places:
        if (located := place(card)) is not None:
            return located
    if card.parts:
        raise MissingError(
            f"weights of {card.name} come in Python packages; got none of {card.package}; run pip "
            f"install 'hilum[{card.extra}]', or pass a file with --weights FILE."
        )
    raise MissingError(_absent(card))


def _absent(card: BackboneCard) -> str:
    own = f"weights of {card.name}" if card.layout else f"ImageNet weights of {card.timm_name}"
    if not card.hub:
        return (
            f"{own} are {card.terms}; got none on this machine; pass the file with --weights FILE."
        )
    terms = f" ({card.terms})" if card.terms else ""
    return (
        f"{own} are not on this machine and the hub cannot be reached; download {card.file} of "
        f"{card.hub}{terms}, then pass it with --weights FILE or put it at {cache_path(card)}."
    )


def _locate_named(card: BackboneCard, which: str) -> tuple[Path, str]:
    """One of several files that a library fetches from its releases; nothing is fetched here."""
    name = next(iter(card.names)) if which == "imagenet" else which
    if which == "imagenet" and (found := _in_cache(card)) is not None:
        return found
    path = release_folder() / card.names[name]
    if path.is_file():
        return path, f"{card.layout}'s {path.name}"
    raise MissingError(
        f"weights {name!r} of {card.name} are not on this machine; got no {path}; download "
        f"{card.release}{path.name}, then put it there or pass it with --weights FILE."
    )


def _in_release_folder(card: BackboneCard) -> tuple[Path, str] | None:
    paths = [release_folder() / name for name in card.names.values()]
    found = [path for path in paths if path.is_file()]
    return (found[0], f"{card.layout}'s {found[0].name}") if found else None


def _in_cache(card: BackboneCard) -> tuple[Path, str] | None:
    path = cache_path(card)
    return (path, f"the cache's {path.name}") if path.is_file() else None


def _in_package(card: BackboneCard) -> tuple[Path, str] | None:
    """Weights that an installed Python package carries in its folder `models`."""
    spec = find_spec(card.package) if card.package else None
    if spec is None or spec.origin is None:
        return None
    paths = sorted((Path(spec.origin).parent / "models").glob("*.pth"))
    return (paths[0], f"package {card.package}") if paths else None


def _in_parts(card: BackboneCard) -> tuple[Path, str] | None:
    paths = weights_3d.find_parts(card)
    return (paths[0], f"package {card.package}") if paths else None


def _on_hub(card: BackboneCard) -> tuple[Path, str] | None:
    path = hub.fetch(card.hub, card.file) if card.hub else None
    return (path, f"hub {card.hub}") if path else None


def _in_hub_cache(card: BackboneCard) -> tuple[Path, str] | None:
    path = hub.copy_of(card.hub, card.file) if card.hub else None
    return (path, f"hub {card.hub}") if path else None


def _reader(path: Path) -> Callable[[BackboneCard, Path], tuple[State, str]]:
    if path.is_dir():
        return _read_keras
    for suffixes, reader in READERS.items():
        if path.name.lower().endswith(suffixes):
            return reader
    every = ", ".join(suffix for suffixes in READERS for suffix in suffixes)
    raise HilumError(
        f"weights are one of {every} or a TensorFlow.js folder; got {path.name!r}; "
        "save them as .safetensors."
    )


def _read_safetensors(card: BackboneCard, path: Path) -> tuple[State, str]:
    return checkpoints.read_safetensors(path)


def _read_torch(card: BackboneCard, path: Path) -> tuple[State, str]:
    return checkpoints.read_torch(path, nested=(*layouts.nested(card), *checkpoints.NESTED)), ""


def _read_keras(card: BackboneCard, path: Path) -> tuple[State, str]:
    keras_file = keras_files.read_keras(path)
    return weights_keras.convert(card, networks.outline(card, classifier=True), keras_file)


READERS: dict[tuple[str, ...], Callable[[BackboneCard, Path], tuple[State, str]]] = {
    (".safetensors",): _read_safetensors,
    (".pth", ".pt", ".bin", ".pth.tar"): _read_torch,
    (".h5", ".hdf5", ".tgz", ".tar.gz"): _read_keras,
}


def _shapes(network: nn.Module) -> Shapes:
    return {name: tensor.shape for name, tensor in network.state_dict().items()}
