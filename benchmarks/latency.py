"""One image: file to calibrated probability and Grad-CAM, everything loaded.

    python benchmarks/latency.py [--quick] [--data FOLDER]

The peer is plain PyTorch with the same weights: Pillow, torchvision's transforms, a forward pass,
and Grad-CAM by a hook on the last map and a backward pass (Selvaraju et al. 2017).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from hilum import images, preprocess
from hilum.explain import cam
from hilum.explain import explainer as subjects
from hilum.inference import model as models
from hilum.inference.model import ModelMetadata, TrainedModel
from hilum.models import backbones, torchvision_compat
from hilum.models.heads import NumpyHead, Standardise
from hilum.models.normalise import NORMALISE
from side_by_side import Row, Size, asked, films, finish, in_turn, workplace

SIDE, FILM, CLASSES = 224, 1024, ("covid19", "normal", "pneumonia")
Answer: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[Any]]  # (class,) and (height, width)
TEMPERATURE = 1.3


def random_model(name: str, side: int = SIDE, temperature: float = TEMPERATURE) -> TrainedModel:
    """A model with a random head: what it says does not matter, but that all say the same."""
    backbone = (
        backbones.build_backbone(name)
        if "lite0" in name
        else backbones.build_backbone(name, "random")
    )
    rng, width = np.random.default_rng(0), backbone.card.features
    weight = rng.normal(0, 0.05, (len(CLASSES), width))
    head = NumpyHead(
        Standardise(np.zeros(width), np.ones(width)), ((weight, np.zeros(len(CLASSES))),)
    )
    facts = ModelMetadata(
        list(CLASSES), backbone.card.normalise, "auto", mirror=False, temperature=temperature
    )
    pipeline = preprocess.from_list([{"step": "resize", "side": side}])
    return models.compile_model(facts, pipeline, backbone, head)


def hilum(asked_: TrainedModel) -> Callable[[str], Answer]:
    """What `hilum predict --heatmaps` does for each file."""
    subject = subjects.make_explainable(asked_)
    if not subjects.same_bits(subject, asked_):
        raise SystemExit("the network for heat maps must predict as the model does; it does not")

    def one(path: str) -> Answer:
        found = asked_.pipeline(images.read(path, asked_.pipeline.decode_side).pixels)
        (sight,) = cam.compute_maps(subject, found[None])
        p = asked_.calibrated(asked_.from_features(sight.features, None))[0]
        return p, cam.heat(subject, found, int(p.argmax()), seen=[sight.maps])

    return one


def plain(asked_: TrainedModel) -> Callable[[str], Answer]:
    """The same in plain PyTorch, as tutorials write it."""
    torchvision_compat.timm()
    from torchvision import transforms

    network, row = asked_.backbone.net.eval(), NORMALISE[asked_.facts.normalise]
    weight, bias = (torch.from_numpy(a).float() for a in asked_.head.layers[0])
    change = transforms.Compose(
        [
            transforms.Resize((SIDE, SIDE)),
            transforms.ToTensor(),
            transforms.Normalize(row.mean, row.std),
        ]
    )

    def one(path: str) -> Answer:
        with Image.open(path) as film:
            x = change(film.convert("RGB"))[None]
        maps = network.forward_features(x)
        maps.retain_grad()
        logits = network.forward_head(maps).flatten(1) @ weight.T + bias
        p = (logits / TEMPERATURE).softmax(1)[0]
        logits[0, int(p.argmax())].backward()
        cam = torch.relu((maps.grad.mean((2, 3), keepdim=True) * maps).sum(1))[0].detach().numpy()
        network.zero_grad()
        return p.detach().numpy(), cv2.resize(cam, (SIDE, SIDE))

    return one


def measure(name: str, paths: list[str], size: Size) -> list[Row]:
    """Both on the same files, one after another."""
    made = random_model(name)
    answers = {"hilum": hilum(made), "plain PyTorch": plain(made)}
    said = {who: [answer(path) for path in paths] for who, answer in answers.items()}
    apart = max(abs(a[0] - b[0]).max() for a, b in zip(*said.values(), strict=True))
    alike = [np.corrcoef(a[1].ravel(), b[1].ravel())[0, 1]
             for a, b in zip(*said.values(), strict=True) if a[1].any() and b[1].any()]  # fmt: skip
    told = f"p within {apart:.3f}, maps correlate {np.median(alike):.3f}"
    spent = in_turn(
        {who: partial(_all, run, paths) for who, run in answers.items()}, size.pick(2, 7)
    )
    return [
        Row(
            "latency", name, who, 1e3 * seconds / len(paths), "ms per film",
            *((None, "") if who == "hilum" else (seconds / spent["hilum"], ">= 3 x")),
            "" if who == "hilum" else told,
        )
        for who, seconds in spent.items()
    ]  # fmt: skip


def _all(answer: Callable[[str], Answer], paths: list[str]) -> None:
    for path in paths:
        answer(path)


def main() -> None:
    """Print and store the table."""
    size = asked(__doc__, "latency")
    rows = []
    with workplace() as folder:
        paths = list(films(size, size.pick(2, 8), FILM, folder / "films")["path"])
        for name in ("tf_efficientnet_lite0", "resnet50")[: size.pick(1, 2)]:
            rows += measure(name, paths, size)
    finish(rows, size.out)


if __name__ == "__main__":
    main()
