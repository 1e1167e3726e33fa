"""hilum: transfer learning on chest radiographs and lung CT that is honest about what it learned.

What `import hilum` offers is listed in `__all__`; each name is loaded when it is first used.

>>> import hilum
>>> hilum.NOTICE
'Research use only. Not for clinical use.'
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# OpenMP's threads sleep, not spin, until the others have done their part of a layer: on a busy
# machine a spinning one holds the core that the others need. Here, since the library reads it when
# torch loads it. What the user has set stays (OpenMP 5.2, section 21.7; GNU, Intel and LLVM).
_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
if not any(name in os.environ for name in _WAITING):
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

if TYPE_CHECKING:
    from hilum.api.jobs import audit, evaluate, export, open_data, run, train
    from hilum.api.model import Heatmap, Model, load_model
    from hilum.api.own_images import TableColumns
    from hilum.images.read_image import read as read_image
    from hilum.inference.answer import Prediction
    from hilum.progress import Progress
    from hilum.recipes.load import load_recipe, recipe_names
    from hilum.recipes.schema import Recipe
    from hilum.types import (
        NOTICE,
        Finding,
        HilumError,
        Image,
        Manifest,
        MissingError,
        Published,
        Results,
        Score,
    )

__all__ = [
    "NOTICE",
    "Finding",
    "Heatmap",
    "HilumError",
    "Image",
    "Manifest",
    "MissingError",
    "Model",
    "Prediction",
    "Progress",
    "Published",
    "Recipe",
    "Results",
    "Score",
    "TableColumns",
    "audit",
    "evaluate",
    "export",
    "load_model",
    "load_recipe",
    "open_data",
    "read_image",
    "recipe_names",
    "run",
    "train",
]

_RECORDS = (
    "NOTICE", "Finding", "HilumError", "Image", "Manifest", "MissingError", "Published", "Results",
    "Score",
)  # fmt: skip
_HOMES = {
    **{name: ("hilum.types", name) for name in _RECORDS},
    **{
        name: ("hilum.api.jobs", name)
        for name in ("audit", "evaluate", "export", "open_data", "run", "train")
    },
    **{name: ("hilum.api.model", name) for name in ("Heatmap", "Model", "load_model")},
    "TableColumns": ("hilum.api.own_images", "TableColumns"),
    "Prediction": ("hilum.inference.answer", "Prediction"),
    "Progress": ("hilum.progress", "Progress"),
    "Recipe": ("hilum.recipes.schema", "Recipe"),
    "load_recipe": ("hilum.recipes.load", "load_recipe"),
    "read_image": ("hilum.images.read_image", "read"),
    "recipe_names": ("hilum.recipes.load", "recipe_names"),
}

if not TYPE_CHECKING:  # PEP 562: a type checker would take any name for one of these

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"hilum has {', '.join(__all__)}; got {name!r}; use one of these.")
        module, attribute = _HOMES[name]
        return getattr(import_module(module), attribute)

    def __dir__() -> list[str]:
        return sorted([*__all__, "__version__"])
