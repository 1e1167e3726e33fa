"""A model as a MONAI bundle: `configs/`, `models/` and `docs/`, as its specification lists them.

https://docs.monai.io/en/stable/mb_specification.html
"""

import json
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import hilum
from hilum import files
from hilum.exporting import record
from hilum.inference import model_folder, model_json
from hilum.inference.cautions import verdict_line
from hilum.inference.model import TrainedModel
from hilum.interop.model_card import card_of
from hilum.interop.own_answers import OwnAnswers
from hilum.types import CLASS_NAMES, NOTICE, Probabilities, Stack8

MONAI = "1.5.0"  # the version that the configuration was written for and tested with
METADATA, INFERENCE = "configs/metadata.json", "configs/inference.json"
TORCHSCRIPT, STATE = "models/model.ts", "models/model.pt"
CARD = "docs/README.md"
EVERY_FILE = (METADATA, STATE, TORCHSCRIPT, CARD, INFERENCE)
EXPORTED_BY = "exported by hilum"  # in the metadata


def export_monai(folder: Path, out: Path) -> Path:
    """Write the model of `folder` (a model's, or a finished run's) as a bundle to `out`.

    Its TorchScript is loaded again and must answer as the model does. Raises HilumError for a model
    in int8, RefusedFolderError where it answers otherwise.
    """
    files.require_own_export(out, EVERY_FILE, EXPORTED_BY.encode())
    folder = model_json.find_model_folder(folder)
    model = model_folder.load_trained_model(folder)
    own = OwnAnswers.of(model)
    out = files.ensure_writable_folder(out)
    with files.alone(out, what="export"), files.moved_when_whole(out, EVERY_FILE) as place:
        for part in ("configs", "models", "docs"):
            (place / part).mkdir()
        _write_network(model, place)
        checked = own.require_same(_answers_of(place / TORCHSCRIPT), "a MONAI bundle")
        _json(place / METADATA, {**metadata(model, folder), "checked": checked})
        _json(place / INFERENCE, inference(model))
        (place / CARD).write_text(card_of(model, folder), encoding="utf-8")
    return out


def metadata(model: TrainedModel, folder: Path) -> dict[str, Any]:
    """`metadata.json`: what the specification asks for, and what hilum always says of a model."""
    facts = model.facts
    names = ", ".join(CLASS_NAMES.get(name, name) for name in facts.classes)
    verdict = verdict_line(facts.judged)
    return {
        "version": "1.0.0",
        "changelog": {"1.0.0": f"{EXPORTED_BY} {hilum.__version__}"},
        "monai_version": _version("monai", MONAI),
        "pytorch_version": version("torch").partition("+")[0],
        "numpy_version": version("numpy"),
        "optional_packages_version": {"hilum": hilum.__version__},
        "task": f"Classification of chest images: {names}",
        "description": f"{NOTICE} {verdict}",
        "authors": "not recorded; name the people who trained this model",
        "copyright": "not recorded",
        "intended_use": NOTICE,
        "verdict": verdict,
        "audits": record.audits(folder),
        "abstention": record.abstention(model),
        "thresholds": facts.thresholds,
        "preparation": model.pipeline.as_list(),
        "provenance": facts.provenance,
        "network_data_format": {
            "inputs": {"image": _input(model)},
            "outputs": {"pred": _output(model)},
        },
    }


def _input(model: TrainedModel) -> dict[str, Any]:
    return {
        "type": "image",
        "format": "magnitude",
        "modality": "n/a",
        "num_channels": 1,
        "spatial_shape": list(model.pipeline.shape),
        "dtype": "float32",  # MONAI's own check of a bundle draws such numbers and no integers
        "value_range": [0, 255],
        "is_patch_data": False,
        "channel_def": {"0": "grey level, prepared by the steps under preparation"},
    }


def _output(model: TrainedModel) -> dict[str, Any]:
    return {
        "type": "probabilities",
        "format": "classes",
        "modality": "n/a",
        "num_channels": len(model.facts.classes),
        "spatial_shape": [],
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": False,
        "channel_def": {str(i): name for i, name in enumerate(model.facts.classes)},
    }


def inference(model: TrainedModel) -> dict[str, Any]:
    """`inference.json`: every image of `dataset_dir` through the network; `@answers` are rows."""
    return {
        "imports": ["$import torch", "$from pathlib import Path"],
        "bundle_root": ".",
        "dataset_dir": "$str(Path(@bundle_root) / 'images')",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "classes": list(model.facts.classes),
        "data": "$[{'image': str(p)} for p in sorted(Path(@dataset_dir).glob('*'))]",
        "network_def": (
            f"$torch.jit.load(str(Path(@bundle_root) / '{TORCHSCRIPT}'), map_location=@device)"
        ),
        "network": "$@network_def.eval().to(@device)",
        "preprocessing": {
            "_target_": "hilum.interop.film_loader.FilmLoader",
            "steps": model.pipeline.as_list(),
        },
        "dataset": {
            "_target_": "monai.data.Dataset",
            "data": "@data",
            "transform": "@preprocessing",
        },
        "dataloader": {
            "_target_": "monai.data.DataLoader",
            "dataset": "@dataset",
            "batch_size": 8,
            "shuffle": False,
            "num_workers": 0,
        },
        "inferer": {"_target_": "monai.inferers.SimpleInferer"},
        "answers": (
            "$[{'path': path, **dict(zip(@classes, p.tolist()))} for batch in @dataloader "
            "for path, p in zip(batch['path'], "
            "@inferer(batch['image'].to(@device), @network).detach().cpu())]"
        ),
        "run": ["$print(*@answers, sep='\\n')"],
    }


def _write_network(model: TrainedModel, place: Path) -> None:
    import torch

    from hilum.interop import classifier_graph

    scripted = classifier_graph.traced(model)
    scripted.save(str(place / TORCHSCRIPT))
    state = {name: tensor.detach().cpu() for name, tensor in scripted.state_dict().items()}
    torch.save(state, place / STATE)  # tensors alone: `weights_only` reads it


def _answers_of(path: Path) -> Any:
    """What the saved TorchScript makes of prepared films (image, height, width)."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # as in `classifier_graph`
        network = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]

    def answer(films: Stack8) -> Probabilities:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(films).unsqueeze(1)).numpy(), np.float64)

    return answer


def _version(package: str, otherwise: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return otherwise


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
