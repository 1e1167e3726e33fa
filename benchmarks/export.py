"""Exported files beside torch: images per second, and how far probabilities move.

    python benchmarks/export.py [--quick] [--data FOLDER]

Prepared films to calibrated probabilities on all cores, one view of each. What a precision changes
is measured against torch in fp32 on the same films; int8 is calibrated on some of them.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from hilum import images
from hilum.exporting import bf16, engines, onnx_file, openvino_file, quantise
from hilum.exporting.graph import ExportGraph
from hilum.inference import exported
from hilum.inference.model import TrainedModel
from hilum.progress import silent
from hilum.types import Probabilities, Stack8
from latency import random_model
from side_by_side import Row, Size, asked, films, finish, in_turn, workplace

FILM, BATCH = 256, 4
TORCH = "torch, fp32"
Predict: TypeAlias = Callable[[Stack8], Probabilities]  # (image, height, width) -> (image, class)


def by_torch(graph: ExportGraph) -> Predict:
    """The network and the head alone, without maps and heat."""
    graph.eval().to(memory_format=torch.channels_last)

    def predict(stack: Stack8) -> Probabilities:
        parts = []
        with torch.inference_mode():
            for start in range(0, len(stack), BATCH):
                pixels = torch.from_numpy(stack[start : start + BATCH, None])
                features = graph.backbone(graph.normalise(pixels))
                parts.append(graph.head.calibrated(graph.head(features)).numpy())
        return np.concatenate(parts)

    return predict


def written(model: TrainedModel, graph: ExportGraph, stack: Stack8, folder: Path) -> list[Path]:
    """Both formats in every precision, `<precision>.onnx` and `<precision>.xml`."""
    whole = onnx_file.to_onnx(graph, model.pipeline.shape)
    forms = {
        "fp32": whole,
        "bf16": bf16.round_weights(whole),
        "int8": quantise.quantise(whole, stack[: quantise.CALIBRATED], silent("calibrate")),
    }
    paths = []
    for precision, form in forms.items():
        source = onnx_file.write(form, folder / f"{precision}.onnx")
        network = openvino_file.to_openvino(source)
        paths += [source, openvino_file.write(network, {}, folder / f"{precision}.xml")]
    return paths


def by_file(path: Path, model: TrainedModel) -> Predict:
    """ONNX by ONNX Runtime, an intermediate representation as `hilum predict` reads it."""
    if path.suffix == ".onnx":
        rows = engines.onnxruntime_rows(path)
    else:
        rows = exported.compiled(path, model.pipeline, path.stem, gated=False)
    return lambda stack: np.exp(rows(stack))[:, : len(model.facts.classes)]


def megabytes(path: Path) -> float:
    """Of a graph's files."""
    return sum(part.stat().st_size for part in path.parent.glob(f"{path.stem}.*")
               if (part.suffix == ".onnx") == (path.suffix == ".onnx")) / 1e6  # fmt: skip


def measure(name: str, paths: list[str], size: Size, folder: Path) -> list[Row]:
    """Every engine and precision in turn on the same films."""
    model = random_model(name)
    stack = np.stack([model.pipeline(images.read(path).pixels) for path in paths])
    graph = ExportGraph(model)
    folder.mkdir()
    answering: dict[str, Predict] = {TORCH: by_torch(graph)}
    answering[f"hilum's own, {model.facts.precision}"] = model.probabilities
    notes = {}
    for path in written(model, graph, stack, folder):
        engine = "ONNX Runtime" if path.suffix == ".onnx" else "OpenVINO IR"
        answering[f"{engine}, {path.stem}"] = by_file(path, model)
        notes[f"{engine}, {path.stem}"] = f"{megabytes(path):.1f} MB"
    p = {who: predict(stack) for who, predict in answering.items()}
    seconds = in_turn(
        {who: partial(predict, stack) for who, predict in answering.items()}, size.pick(1, 5)
    )
    return [
        Row(
            "export", f"{name}, {len(stack)} films", who, len(stack) / spent, "images/s",
            agreement=f"p within {np.abs(p[who] - p[TORCH]).max():.1e}, "
            f"{(p[who].argmax(1) != p[TORCH].argmax(1)).sum()} decisions flip",
            note=notes.get(who, ""),
        )
        for who, spent in seconds.items()
    ]  # fmt: skip


def main() -> None:
    """Print and store the table."""
    size = asked(__doc__, "export")
    rows = []
    with workplace() as folder:
        paths = list(films(size, size.pick(40, 300), FILM, folder / "films")["path"])
        for name in ("tf_efficientnet_lite0", "resnet50")[: size.pick(1, 2)]:
            rows += measure(name, paths, size, folder / name)
    finish(rows, size.out)


if __name__ == "__main__":
    main()
