"""A model as a folder of the Hugging Face hub: weights, configuration, its own code, its card.

https://huggingface.co/docs/huggingface_hub/guides/integrations
"""

import importlib.util
import json
import shutil
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import hilum
from hilum import files
from hilum.exporting import record
from hilum.inference import model_folder, model_json
from hilum.inference.cautions import verdict_line
from hilum.inference.model import TrainedModel
from hilum.interop import huggingface_model, optional
from hilum.interop.model_card import card_of
from hilum.interop.own_answers import OwnAnswers
from hilum.models import normalise
from hilum.models.backbone import Backbone
from hilum.types import NOTICE, HilumError, Probabilities, Stack8

CODE, WEIGHTS, CONFIG = "modeling_hilum.py", "model.safetensors", "config.json"
PREPARATION, CARD = "preprocessor_config.json", "README.md"
EVERY_FILE, MARK = (CODE, PREPARATION, CARD, WEIGHTS, CONFIG), b"hilum"
POOLS = ("average", "stages")


def export_huggingface(folder: Path, out: Path) -> Path:
    """Write the model of `folder` (a model's, or a finished run's) as a folder of the hub.

    The folder is loaded again by its own code and must answer as the model does. Raises HilumError
    for a network that timm alone cannot build, RefusedFolderError where it answers otherwise.
    """
    optional.load("huggingface_hub", "export for Hugging Face", "huggingface_hub")
    files.require_own_export(out, EVERY_FILE, MARK)
    folder = model_json.find_model_folder(folder)
    model = model_folder.load_trained_model(folder)
    _require_timm(model.backbone)
    own = OwnAnswers.of(model)
    out = files.ensure_writable_folder(out)
    with files.alone(out, what="export"), files.moved_when_whole(out, EVERY_FILE) as place:
        _write(model, folder, place)
        checked = own.require_same(_answers_of(place), "a Hugging Face folder")
        config = {**_config(model), "checked": checked}
        _json(place / CONFIG, config)
    return out


def load_code(folder: Path) -> ModuleType:
    """The `modeling_hilum.py` of a folder as a module of its own."""
    spec = importlib.util.spec_from_file_location("modeling_hilum", folder / CODE)
    assert spec is not None  # noqa: S101 - the file's name ends with .py
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # no cache next to what is published
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


def _require_timm(backbone: Backbone) -> None:
    faults = {
        "a network of hilum's own": backbone.card.own,
        f"pool {backbone.pool!r}": backbone.pool not in POOLS,
        "several networks side by side": bool(backbone.neighbours),
        "several pictures of a film": backbone.panels > 1,
        f"weights of the variant {backbone.weights.variant!r}": bool(backbone.weights.variant),
    }
    found = [what for what, holds in faults.items() if holds]
    if found:
        raise HilumError(
            "a Hugging Face folder holds one network that timm builds, with pool average or "
            f"stages; got {', '.join(found)}; choose --format onnx."
        )


def _write(model: TrainedModel, folder: Path, place: Path) -> None:
    from safetensors.torch import save_file

    shutil.copyfile(huggingface_model.__file__, place / CODE)
    _json(place / CONFIG, _config(model))
    _json(place / PREPARATION, _preparation(model))
    save_file(_tensors(model), place / WEIGHTS, {"format": "pt"})
    (place / CARD).write_text(card_of(model, folder), encoding="utf-8")


def _config(model: TrainedModel) -> dict[str, Any]:
    """The arguments of HilumClassifier, and what a reader must know of the model."""
    facts, backbone = model.facts, model.backbone
    gain, offset = normalise.affine(facts.normalise)
    return {
        "model_type": "hilum",
        "notice": NOTICE,
        "verdict": verdict_line(facts.judged),
        "architecture": backbone.card.timm_name,
        "earlier": list(backbone.earlier),
        **({"options": dict(backbone.card.options)} if backbone.card.options else {}),
        "layers": [list(weight.shape) for weight, _ in model.head.layers],
        "gain": gain.tolist(),
        "offset": offset.tolist(),
        "temperature": facts.temperature,
        "mirror": facts.mirror,
        "id2label": {str(i): name for i, name in enumerate(facts.classes)},
        "label2id": {name: i for i, name in enumerate(facts.classes)},
        "thresholds": facts.thresholds,
        "abstention": record.abstention(model),
        "provenance": facts.provenance,
        "hilum": hilum.__version__,
    }


def _preparation(model: TrainedModel) -> dict[str, Any]:
    height, width = model.pipeline.shape
    return {
        "image_processor_type": "hilum",
        "notice": NOTICE,
        "size": {"height": height, "width": width},
        "input": "uint8 (image, height, width); the network's own normalisation is in the model",
        "decoding": record.DECODING,
        "decode_side": model.pipeline.decode_side,
        "steps": model.pipeline.as_list(),
        "digest": model.pipeline.digest,
    }


def _tensors(model: TrainedModel) -> dict[str, Any]:
    import torch

    tensors = {f"net.{name}": value for name, value in model.backbone.net.state_dict().items()}
    arrays = {
        "mean": model.head.standardise.mean,
        "deviation": model.head.standardise.deviation,
    }
    for i, (weight, bias) in enumerate(model.head.layers):
        arrays |= {f"layers.{i}.weight": weight, f"layers.{i}.bias": bias}
    tensors |= {name: torch.from_numpy(values).float() for name, values in arrays.items()}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _answers_of(folder: Path) -> Any:
    """What the folder's own code makes of prepared films (image, height, width)."""
    import torch

    with redirect_stdout(StringIO()):  # the hub's mixin prints where it reads from
        network = load_code(folder).HilumClassifier.from_pretrained(folder, strict=True).eval()

    def answer(films: Stack8) -> Probabilities:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(films)).numpy(), np.float64)

    return answer


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
