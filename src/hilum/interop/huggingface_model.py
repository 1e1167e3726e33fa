"""A classifier of chest images that hilum trained: torch, timm and this file run it.

Research use only. Not for clinical use. This file is copied into every folder that
`hilum export --format huggingface` writes, as `modeling_hilum.py`:

    from modeling_hilum import HilumClassifier
    model = HilumClassifier.from_pretrained("the folder, or its name on the hub").eval()
    probabilities = model(pixels)

`pixels` are uint8 (image, height, width), prepared as `preprocessor_config.json` says. The
probabilities (image, class) are calibrated; `config.json` names the classes under `id2label`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import timm
import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d


class HilumClassifier(nn.Module, PyTorchModelHubMixin):
    """Normalisation, a network of timm, a standardised head, a temperature; as `config.json`."""

    gain: Tensor
    offset: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        architecture: str,  # of timm, with the tag of its weights
        layers: Sequence[Sequence[int]],  # (output, input) of each layer of the head
        gain: Sequence[float],  # of each channel, for grey levels from 0 to 255
        offset: Sequence[float],
        earlier: Sequence[int] = (),  # stages whose means follow those of the last map
        temperature: float = 1.0,
        mirror: bool = False,  # whether the logits are the mean with those of the mirrored image
        options: Mapping[str, Any] | None = None,  # what timm gets besides the name
    ) -> None:
        super().__init__()
        changed = dict(options or {})
        self.net: Any = timm.create_model(architecture, pretrained=False, num_classes=0, **changed)
        if hasattr(self.net, "pre_logits"):
            self.net.pre_logits = nn.Identity()  # fully connected layers of the original classifier
        self.earlier = list(earlier)
        self.temperature = temperature
        self.mirror = mirror
        for name, values in (("gain", gain), ("offset", offset)):
            channels = torch.tensor(values).reshape(3, 1, 1)
            self.register_buffer(name, channels, persistent=False)
        width = layers[0][1]
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.layers = nn.ModuleList(nn.Linear(before, after) for after, before in layers)

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 (image, height, width) -> calibrated probabilities (image, class)."""
        logits = self.logits(pixels)
        if self.mirror:
            logits = (logits + self.logits(pixels.flip(2))) / 2
        return (logits / self.temperature).softmax(1)

    def logits(self, pixels: Tensor) -> Tensor:
        """uint8 (image, height, width) -> logits (image, class) of the images as they are."""
        x = (self.features(pixels) - self.mean) / self.deviation
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        logits: Tensor = self.layers[-1](x)
        return logits

    def features(self, pixels: Tensor) -> Tensor:
        """uint8 (image, height, width) -> features (image, feature)."""
        x = pixels.unsqueeze(1).to(self.gain.dtype) * self.gain + self.offset
        if not self.earlier:
            return self._means(self.net.forward_features(x))
        last, maps = self.net.forward_intermediates(x, indices=self.earlier)
        sizes = last.shape[2:]
        means = [adaptive_avg_pool2d(one, sizes).mean((2, 3)) for one in maps]
        return torch.cat([self._means(last), *means], 1)

    def _means(self, last: Tensor) -> Tensor:
        features: Tensor = self.net.forward_head(last, pre_logits=True)
        return features.mean((2, 3)) if features.ndim == 4 else features
