"""hilum in the company of other tools: scikit-learn, torch, TorchXRayVision, Jupyter, the hubs.

Each name is loaded when it is first used; so is the library that it needs.

>>> from hilum import interop
>>> interop.HeadClassifier(class_weight="balanced")
HeadClassifier(class_weight='balanced')
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hilum.interop.head_classifier import HeadClassifier
    from hilum.interop.jupyter_progress import bars
    from hilum.interop.manifest_dataset import ManifestDataset, PreparedFilm
    from hilum.interop.pseudonyms import Pseudonyms, write_pseudonymous
    from hilum.interop.run_log import log_run
    from hilum.interop.torchxrayvision_reader import read_torchxrayvision

__all__ = [
    "HeadClassifier",
    "ManifestDataset",
    "PreparedFilm",
    "Pseudonyms",
    "bars",
    "log_run",
    "read_torchxrayvision",
    "write_pseudonymous",
]

_HOMES = {
    "HeadClassifier": "head_classifier",
    "ManifestDataset": "manifest_dataset",
    "PreparedFilm": "manifest_dataset",
    "Pseudonyms": "pseudonyms",
    "bars": "jupyter_progress",
    "log_run": "run_log",
    "read_torchxrayvision": "torchxrayvision_reader",
    "write_pseudonymous": "pseudonyms",
}

if not TYPE_CHECKING:  # PEP 562: a type checker would take any name for one of these

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(
                f"hilum.interop has {', '.join(__all__)}; got {name!r}; use one of these."
            )
        return getattr(import_module(f"hilum.interop.{_HOMES[name]}"), name)

    def __dir__() -> list[str]:
        return sorted(__all__)
