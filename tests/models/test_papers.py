"""The studies' own networks: their tables layer by layer, and their use as ordinary backbones."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from hilum.models import backbones, freezing, published_networks, weights
from hilum.models.backbones import BACKBONES, build_backbone, rebuild_backbone
from hilum.models.normalise import InputNormalisation
from hilum.models.runtime.compiling import Target, compile_network
from hilum.types import HilumError, MissingError

# Study 000, table 1 put right: layer, output (height, width, channels), Keras's parameter count
TABLE: list[tuple[str, tuple[int, ...], int]] = [
    ("features.conv1", (198, 198, 16), 91),
    ("features.pool1", (99, 99, 16), 0),
    ("features.conv2", (97, 97, 16), 416),
    ("features.pool2", (48, 48, 16), 0),
    ("features.norm2", (48, 48, 16), 64),
    ("features.conv3", (46, 46, 32), 688),
    ("features.pool3", (23, 23, 32), 0),
    ("features.norm3", (23, 23, 32), 128),
    ("features.conv4", (21, 21, 32), 1344),
    ("features.pool4", (10, 10, 32), 0),
    ("features.norm4", (10, 10, 32), 128),
    ("features.dropout", (10, 10, 32), 0),
    ("features.conv5", (8, 8, 64), 2400),
    ("top.pool5", (4, 4, 64), 0),
    ("top.conv6", (2, 2, 64), 4736),
    ("top.pool6", (1, 1, 64), 0),
    ("top.norm6", (1, 1, 64), 256),
    ("top.flatten", (64,), 0),
    ("top.dense", (1000,), 65000),
    ("output", (2,), 2002),
]
# The same table as printed: (rows as they stand there, shape, parameters)
PRINTED = [
    *((shape, count) for _, shape, count in TABLE[:5]),
    ((48, 48, 32), 688),  # erratum: 46 x 46, or the next row's 23 could not be
    *((shape, count) for _, shape, count in TABLE[6:12]),
    ((8, 8, 64), 64),  # erratum: no separable convolution has 64 parameters
    *((shape, count) for _, shape, count in TABLE[12:17]),
    ((64,), 65000),  # erratum: this and the next count have changed places
    ((1000,), 0),
    ((2,), 2002),
]


class Whole(nn.Module):
    """Study 000's CNN with its two-class output."""

    def __init__(self) -> None:
        super().__init__()
        self.net = published_networks.ElAzhariCnn()
        self.output = nn.Linear(1000, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(image, 3, 200, 200) -> (image, 2)."""
        return self.output(self.net.forward_head(self.net.forward_features(x)))


def keras_count(module: nn.Module) -> int:
    """Parameters as Keras counts them: running statistics too, batch counters not."""
    tensors = [*module.parameters(), *(b for b in module.buffers() if b.ndim)]
    return sum(tensor.numel() for tensor in tensors)


def test_every_row_of_the_corrected_table() -> None:
    seen: dict[str, torch.Size] = {}
    with torch.device("meta"):
        model, image = Whole().eval(), torch.zeros(1, 3, 200, 200)
    names = {module: at.removeprefix("net.") for at, module in model.named_modules()}
    for module in model.modules():
        module.register_forward_hook(lambda it, _, out: seen.update({names[it]: out.shape}))
    model(image)
    modules = {at: module for module, at in names.items()}
    for at, shape, count in TABLE:
        channels_last = (*seen[at][2:], seen[at][1])
        assert (channels_last, keras_count(modules[at])) == (shape, count), at
    rows = [at for at in modules if at.count(".") == 1 and at != "top.relu"]
    assert [*rows, "output"] == [at for at, _, _ in TABLE]
    assert len(TABLE) == 20


def test_totals_of_the_separable_cnn() -> None:
    with torch.device("meta"):
        model = Whole()
    assert keras_count(model) == sum(count for _, _, count in TABLE) == 77_253
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trainable == 76_965
    assert keras_count(model) - trainable == 288
    assert len(PRINTED) == 21
    assert sum(count for _, count in PRINTED) == 77_317 == 77_253 + 64


def test_multiplications_of_the_separable_cnn() -> None:
    """8,904,780 per image, counted layer by layer."""
    total = 0

    def count(layer: nn.Module, _: object, out: torch.Tensor) -> None:
        nonlocal total
        each = layer.weight[0].numel()
        total += each * out[0].numel()

    with torch.device("meta"):
        model, image = Whole().eval(), torch.zeros(1, 3, 200, 200)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    model(image)
    assert total == 8_904_780


def test_batch_norm_and_initialisation_are_those_of_keras() -> None:
    backbone = build_backbone("elazhari_cnn", "random", 4)
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert [(m.eps, m.momentum) for m in norms] == [(1e-3, 0.01)] * 4
    assert backbone.net.features.dropout.p == 0.5
    layers = [m for m in backbone.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 13
    for layer in layers:
        fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(layer.weight)
        bound = (6 / (fan_in + fan_out)) ** 0.5
        largest = float(layer.weight.detach().abs().max())
        assert 0.8 * bound < largest <= bound
        assert layer.bias is None or not layer.bias.detach().any()


def test_a_separable_convolution_is_a_convolution_of_rank_one_kernels() -> None:
    net = build_backbone("elazhari_cnn", "random", 1).net
    x = torch.randn(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        depth = net.features.conv1.depthwise.weight[:, 0]  # (channel, row, column)
        point = net.features.conv1.pointwise.weight[:, :, 0, 0]  # (output, channel)
        kernel = point[:, :, None, None] * depth[None]
        want = nn.functional.conv2d(x, kernel, net.features.conv1.pointwise.bias).relu()
        torch.testing.assert_close(net.features.conv1(x), want)


def test_study_001_networks_by_hand() -> None:
    """Flatten, 64 nodes, ReLU; and the same after one convolution without padding."""
    x = torch.randn(3, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    fc, cnn = published_networks.WiklundFc(side=6), published_networks.WiklundCnn(side=6)
    with torch.no_grad():
        fc.dense.bias.normal_(generator=torch.Generator().manual_seed(1))
        want = (x.reshape(3, 108) @ fc.dense.weight.T + fc.dense.bias).clamp_min(0)
        torch.testing.assert_close(fc.forward_head(fc.forward_features(x)), want)
        maps = nn.functional.conv2d(x, cnn.conv.weight, cnn.conv.bias).clamp_min(0)
        assert maps.shape == (3, 32, 4, 4)
        want = (maps.reshape(3, 512) @ cnn.dense.weight.T).clamp_min(0)
        torch.testing.assert_close(cnn.forward_head(cnn.forward_features(x)), want)
    assert (want > 0).any()


@pytest.mark.parametrize("name", sorted(published_networks.NETWORKS))
def test_imagenet_weights_do_not_exist(name: str) -> None:
    with pytest.raises(MissingError, match=f"{name} was never trained on ImageNet; got .*random"):
        build_backbone(name, "imagenet")


@pytest.mark.parametrize("name", ["elazhari_cnn", "wiklund_fc"])
def test_saved_compiled_and_frozen_like_any_backbone(name: str, tmp_path: Path) -> None:
    backbone = build_backbone(name, "random", 3)
    assert build_backbone(name, "random", 3).weights.digest == backbone.weights.digest
    assert build_backbone(name, "random", 4).weights.digest != backbone.weights.digest
    side = backbone.card.side
    stack = np.random.default_rng(0).integers(0, 256, (3, side, side), dtype=np.uint8)
    network = nn.Sequential(InputNormalisation(backbone.card.normalise), backbone)
    with torch.inference_mode():
        want = network(torch.from_numpy(stack)[:, None]).numpy()
    for engine in ("openvino", "torch"):
        run = compile_network(network, (side, side), Target("fp32", "cpu", engine))
        np.testing.assert_allclose(run(stack), want, atol=1e-4 * np.abs(want).max())
        assert np.array_equal(run(stack[1:2]), run(stack)[1:2])
        assert run.facts.outputs == backbone.card.features

    save_file(backbone.state_dict(), tmp_path / "b.safetensors")
    again = rebuild_backbone(backbone.record(), load_file(tmp_path / "b.safetensors"))
    save_file(weights.load_weights(backbone.card, "random", 3).state, tmp_path / "w.safetensors")
    loaded = build_backbone(name, tmp_path / "w.safetensors")
    assert loaded.weights.digest == backbone.weights.digest
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(again(x), backbone(x))
        assert torch.equal(loaded(x), backbone(x))

    freezing.apply_rules(network, [*freezing.last_stages(backbone.card, 1)], "frozen")
    trained = [n for n, p in network.named_parameters() if p.requires_grad]
    assert all(re.search(r"net\.(top\.)?dense\.", n) for n in trained)
    assert len(trained) == 2


def test_gradients_reach_every_parameter() -> None:
    backbone = build_backbone("elazhari_cnn", "random", 0).train()
    x = torch.randn(4, 3, 200, 200, generator=torch.Generator().manual_seed(0))
    backbone(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in backbone.parameters())


def test_other_sizes_and_pools_are_refused_in_one_sentence() -> None:
    backbone = build_backbone("elazhari_cnn", "random")
    with pytest.raises(HilumError, match="200 x 200 pixels; got 224 x 224; prepare"):
        backbone(torch.zeros(1, 3, 224, 224))
    with pytest.raises(HilumError, match=r"elazhari_cnn takes .*got 180 x 200; set prepare\.side"):
        backbones.require_size(backbone.card, (180, 200))
    backbones.require_size(backbone.card, (200, 200))
    backbones.require_size(BACKBONES["resnet18"], (180, 200))
    with pytest.raises(HilumError, match="one of average, last; got 'flatten'"):
        build_backbone("wiklund_fc", "random", pool="flatten")


# fully connected layers of VGG16 (Simonyan & Zisserman 2015, configuration D)
FC = [(512 * 49 + 1) * 4096, 4097 * 4096, 4097 * 1000]


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_vgg16_keeps_some_of_its_fully_connected_layers(kept: int) -> None:
    pool = ("flatten", "fc1", "fc2", "fc3")[kept]
    with torch.device("meta"):
        backbone = backbones.Backbone(BACKBONES["vgg16"], weights.Weights({}, "", "", ""), pool)
        features = backbone.eval()(torch.zeros(2, 3, 224, 224))
    assert features.shape == (2, (25088, 4096, 4096, 1000)[kept])
    count = sum(p.numel() for p in backbone.parameters())
    assert count == 14_714_688 + sum(FC[:kept])
    assert kept < 3 or count == 138_357_544
    assert backbone.shape(features.shape[1]) == ((512, 49) if kept == 0 else (features.shape[1], 1))


def test_pool_last_is_the_published_networks_own() -> None:
    with torch.device("meta"):
        image = torch.zeros(1, 3, 64, 64)
        for name, width in (("vgg16", 512 * 4), ("resnet18", 512)):
            row = BACKBONES[name]
            backbone = backbones.Backbone(row, weights.Weights({}, "", "", ""), "last").eval()
            assert backbone(image).shape == (1, width)
    with pytest.raises(HilumError, match=r"pool of resnet18 is one of .*flatten.*; got 'fc1'"):
        build_backbone("resnet18", "random", pool="fc1")


@pytest.fixture
def thin_vgg(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG16's names at a hundredth of its width, so that files of it are small."""
    original = backbones.networks._timm

    def thin(row: backbones.BackboneCard, classifier: bool) -> nn.Module:
        with torch.device("meta"):
            network = original(row, classifier=False)
        network.features = nn.Sequential(
            *(_thin(layer) if isinstance(layer, nn.Conv2d) else layer for layer in network.features)
        )
        if classifier:
            head = backbones.networks.torchvision_compat.timm().models.vgg.ConvMlp(8, 12, 7)
            network.pre_logits = head
            network.head.fc = nn.Linear(12, 5)
        return network

    monkeypatch.setattr(backbones.networks, "_timm", thin)


def _thin(layer: nn.Conv2d) -> nn.Conv2d:
    return nn.Conv2d(min(layer.in_channels, 8), 8, 3, padding=1)


def torchvision_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """timm's convolutions as torchvision's matrices."""
    names = {"pre_logits.fc1": "classifier.0", "pre_logits.fc2": "classifier.3"}
    names["head.fc"] = "classifier.6"
    found = {}
    for name, tensor in state.items():
        module, leaf = name.rsplit(".", 1)
        flat = tensor.flatten(1) if module in names and leaf == "weight" else tensor
        found[f"{names.get(module, module)}.{leaf}"] = flat.contiguous()
    return found


@pytest.mark.usefixtures("thin_vgg")
@pytest.mark.parametrize("layout", ["timm", "torchvision"])
def test_kept_layers_come_from_the_file_and_compute_what_vgg_computes(
    layout: str, tmp_path: Path
) -> None:
    whole = backbones.networks.create(BACKBONES["vgg16"], classifier=True).eval()
    state = whole.state_dict()
    named = state if layout == "timm" else torchvision_names(state)
    save_file(named, tmp_path / "vgg16.safetensors")
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    digests = set()
    with torch.inference_mode():
        maps = whole.forward_features(x).flatten(1)
        fc1, fc2 = whole.pre_logits.fc1, whole.pre_logits.fc2
        one = (maps @ fc1.weight.flatten(1).T + fc1.bias).relu()
        two = (one @ fc2.weight.flatten(1).T + fc2.bias).relu()
        wants = {"flatten": maps, "fc1": one, "fc2": two, "fc3": whole(x)}
        for pool, want in wants.items():
            backbone = build_backbone("vgg16", tmp_path / "vgg16.safetensors", pool=pool)
            torch.testing.assert_close(backbone(x), want)
            again = rebuild_backbone(backbone.record(), backbone.state_dict())
            assert torch.equal(again(x), backbone(x))
            digests.add(backbone.weights.digest)
    assert len(digests) == 4


@pytest.mark.usefixtures("thin_vgg")
def test_weights_without_a_classifier_are_said_to_lack_it(tmp_path: Path) -> None:
    state = backbones.networks.create(BACKBONES["vgg16"]).state_dict()
    save_file(state, tmp_path / "features.safetensors")
    with pytest.raises(
        MissingError, match=r"'fc2' keeps .*of vgg16; got .*features.*'pre_logits\.fc1\.weight'"
    ):
        build_backbone("vgg16", tmp_path / "features.safetensors", pool="fc2")
    assert build_backbone("vgg16", tmp_path / "features.safetensors", pool="flatten").kept == 0


@pytest.mark.usefixtures("thin_vgg")
def test_random_weights_come_with_the_kept_layers() -> None:
    first, second = (build_backbone("vgg16", "random", 5, pool="fc2") for _ in range(2))
    assert first.weights.digest == second.weights.digest
    assert torch.equal(first.net.pre_logits.fc2.weight, second.net.pre_logits.fc2.weight)
    assert isinstance(first.net.head.fc, nn.Identity)


def test_keras_vgg16_brings_its_fully_connected_layers() -> None:
    """Keras flattens (row, column, channel); a map goes through both layouts to one result."""
    rng = np.random.default_rng(0)
    layer = nn.Conv2d(4, 6, (7, 7))
    kernel = rng.normal(size=(7 * 7 * 4, 6)).astype("f4")
    bias = rng.normal(size=6).astype("f4")
    tensors = weights.weights_keras._tensors(layer, {"kernel": kernel, "bias": bias})
    image = rng.normal(size=(7, 7, 4)).astype("f4")
    want = image.reshape(-1) @ kernel + bias
    got = nn.functional.conv2d(
        torch.from_numpy(image.transpose(2, 0, 1).copy())[None], tensors["weight"], tensors["bias"]
    )
    np.testing.assert_allclose(got.flatten().numpy(), want, rtol=1e-4, atol=1e-4)
    names = [weights.weights_keras._vgg_names(f"{at}")[0] for at in BACKBONES["vgg16"].classifier]
    assert names == ["fc1", "fc2", "predictions"]
