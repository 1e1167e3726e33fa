"""Feature extraction, files to features, with networks that hold the same weights.

    python benchmarks/features.py [--quick] [--data FOLDER]

Each rival reads the same files, decodes them, brings them to 224 x 224 and runs the network. Peers:
timm eager in fp32 behind a DataLoader, ONNX Runtime behind the same DataLoader, and the loop that
torchxrayvision documents (DenseNet121 alone, with weights of its own). The limit is
the bare compiled network on random tensors that are in memory already. Conversion is not timed.
"""

import shutil
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

import side_by_side
from hilum import files, preprocess
from hilum.data import manifest, prepared_dataset
from hilum.inference.model import compile_backbone
from hilum.models import backbones, torchvision_compat
from hilum.models.normalise import NORMALISE
from hilum.models.runtime.base import Runtime
from hilum.types import Floats, Manifest
from side_by_side import Row, Size, absent, asked, films, finish, in_turn, peer, workplace

NETWORKS = ("tf_efficientnet_lite0", "resnet18", "resnet50", "densenet121")
SIDE, FILM, BATCH = 224, 512, 32
PIPELINE = preprocess.from_list([{"step": "resize", "side": SIDE}])


class Films(Dataset[torch.Tensor]):
    """The peers' data: each file through Pillow and torchvision's transforms."""

    def __init__(self, paths: list[str], mode: str) -> None:
        torchvision_compat.timm()
        from torchvision import transforms

        row = NORMALISE[mode]
        self.paths = paths
        self.change = transforms.Compose(
            [
                transforms.Resize((SIDE, SIDE)),
                transforms.ToTensor(),
                transforms.Normalize(row.mean, row.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> torch.Tensor:
        with Image.open(self.paths[i]) as film:
            changed: torch.Tensor = self.change(film.convert("RGB"))
        return changed


def hilum(runtime: Runtime, found: Manifest) -> Floats:
    """The line that every run takes: files to the pixel store, store to features."""
    shutil.rmtree(files.cache_home() / "pixels", ignore_errors=True)
    return runtime(prepared_dataset.prepare_dataset(found, PIPELINE).pixels.stack)


def batched(run: Callable[[torch.Tensor], npt.NDArray[Any]], paths: list[str], mode: str) -> Floats:
    """What a tutorial writes: a DataLoader with a worker per core, batch by batch."""
    loader = DataLoader(Films(paths, mode), BATCH, num_workers=files.available_cpus())
    return np.concatenate([run(batch) for batch in loader])


def eager(network: nn.Module, batch: torch.Tensor) -> npt.NDArray[Any]:
    """timm's network as it is."""
    with torch.inference_mode():
        return np.asarray(network(batch).flatten(1))


def onnx_session(runtime: Any, network: nn.Module, folder: Path) -> Any:
    """The same network for ONNX Runtime, batches of any size."""
    path = folder / "network.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (torch.zeros(1, 3, SIDE, SIDE),), str(path), input_names=["x"],
            dynamic_axes={"x": {0: "image"}}, dynamo=False,
        )  # fmt: skip
    return runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def documented(package: Any, network: nn.Module, paths: list[str]) -> Floats:
    """torchxrayvision's README: scikit-image, normalize, crop, resize, one film at a time."""
    import skimage.io
    from torchvision import transforms

    change = transforms.Compose(
        [package.datasets.XRayCenterCrop(), package.datasets.XRayResizer(SIDE)]
    )
    out = []
    for path in paths:
        film = package.datasets.normalize(skimage.io.imread(path), 255)
        film = film.mean(2)[None] if film.ndim == 3 else film[None]
        with torch.inference_mode():
            found = network.features(torch.from_numpy(change(film)).float()[None])
            out.append(found.mean((2, 3))[0].numpy())
    return np.stack(out)


def alike(ours: Floats, theirs: Floats) -> str:
    """Median cosine of an image's features, mean feature taken off."""
    a, b = ours - ours.mean(0), theirs - ours.mean(0)
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return f"cosine {np.median(cosines):.4f}"


def measure(name: str, found: Manifest, size: Size, folder: Path) -> list[Row]:
    """All rivals with one network."""
    backbone, mode = side_by_side.backbone(name), backbones.backbone_card(name).normalise
    paths = list(found.table["path"])
    runtime = compile_backbone(backbone, mode, PIPELINE, "auto")
    stack = np.random.default_rng(0).integers(0, 256, (len(paths), SIDE, SIDE), np.uint8)
    rivals: dict[str, Callable[[], Floats]] = {
        "hilum": partial(hilum, runtime, found),
        "bare compiled network (limit)": partial(runtime, stack),
        "timm eager": partial(batched, partial(eager, backbone.eval()), paths, mode),
    }
    rows = []
    if (onnx := peer("onnxruntime")) is not None and peer("onnx") is not None:
        session = onnx_session(onnx, backbone, folder)
        rivals["ONNX Runtime"] = partial(
            batched, lambda batch: session.run(None, {"x": batch.numpy()})[0], paths, mode
        )
    else:
        rows.append(absent("features", name, "ONNX Runtime"))
    if name == "densenet121" and (package := peer("torchxrayvision")) is not None:
        theirs = package.models.DenseNet(num_classes=18, in_channels=1).eval()
        rivals["torchxrayvision's loop"] = partial(documented, package, theirs, paths)
    last: dict[str, Floats] = {}
    spent = in_turn({who: partial(_kept, last, who, run) for who, run in rivals.items()},
                    size.pick(1, 3))  # fmt: skip
    for who, seconds in spent.items():
        rows.append(_row(name, who, (len(paths), seconds, spent["hilum"]), last))
    return rows


def _kept(last: dict[str, Floats], who: str, run: Callable[[], Floats]) -> None:
    last[who] = run()


def _row(name: str, who: str, times: tuple[int, float, float], last: dict[str, Floats]) -> Row:
    count, seconds, ours = times
    limit, own = "limit" in who, who in ("hilum", "torchxrayvision's loop")
    wanted = {"timm eager": ">= 4 x"}.get(who, ">= 0.85 x" if limit else "")
    told = "" if limit or own else alike(last["hilum"], last[who])
    note = "weights of its own" if "xray" in who else ""
    ratio = None if who == "hilum" else seconds / ours
    return Row("features", name, who, count / seconds, "images/s", ratio, wanted, told, note)


def main() -> None:
    """Print and store the table."""
    size = asked(__doc__, "features")
    rows = []
    with workplace() as folder:
        drawn = films(size, size.pick(32, 160, 480), FILM, folder / "films")
        found = manifest.assemble_manifest(drawn.assign(label="film"), "bench", root=folder)
        for name in NETWORKS[: size.pick(2, 4)]:
            rows += measure(name, found, size, folder)
    finish(rows, size.out)


if __name__ == "__main__":
    main()
