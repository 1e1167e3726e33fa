"""Keras conversion against Keras's own arithmetic, on small networks with random weights."""

import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hilum.models import h5_process, keras_files, networks, torchvision_compat, weights_keras
from hilum.models.backbones import BACKBONES
from hilum.models.normalise import affine
from hilum.types import HilumError

EPSILON = 1e-3
KINDS = {"conv": ("kernel", "bias"), "norm": ("gamma", "beta", "moving_mean", "moving_variance")}


def tiny_resnet() -> nn.Module:
    """A bottleneck ResNet with one block per stage: ResNet50's names, a thousandth of its size."""
    resnet = torchvision_compat.timm().models.resnet
    return resnet.ResNet(
        resnet.Bottleneck, (1, 1, 1, 1), channels=(4, 4, 8, 8), num_classes=5, stem_width=64
    )


def conv(rng: np.random.Generator, size: int, inputs: int, outputs: int) -> dict[str, np.ndarray]:
    kernel = rng.normal(0, (size * size * inputs) ** -0.5, (size, size, inputs, outputs))
    return {"kernel": kernel.astype("f4"), "bias": rng.normal(0, 0.1, outputs).astype("f4")}


def norm(rng: np.random.Generator, width: int) -> dict[str, np.ndarray]:
    return {
        "gamma": rng.uniform(0.5, 1.5, width).astype("f4"),
        "beta": rng.normal(0, 0.2, width).astype("f4"),
        "moving_mean": rng.normal(0, 0.2, width).astype("f4"),
        "moving_variance": rng.uniform(0.01, 1, width).astype("f4"),
    }


def resnet_layers(newer: bool, seed: int = 0) -> keras_files.Layers:
    """Random arrays under the names of either generation of Keras's ResNet50."""
    rng = np.random.default_rng(seed)
    layers = {}
    for name, module in tiny_resnet().named_modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            label = weights_keras._resnet_names(name)[0 if newer else 1]
            layers[label] = (
                conv(rng, module.kernel_size[0], module.in_channels, module.out_channels)
                if isinstance(module, nn.Conv2d)
                else norm(rng, module.num_features)
            )
    stem = layers["conv1_conv" if newer else "conv1"]
    stem["kernel"] /= 60  # its input is in grey levels
    layers["predictions" if newer else "fc1000"] = {
        "kernel": rng.normal(0, 0.2, (32, 5)).astype("f4"), "bias": np.zeros(5, "f4"),
    }  # fmt: skip
    return layers


def keras_resnet(layers: keras_files.Layers, x: torch.Tensor) -> torch.Tensor:
    """ResNet50's graph as keras.applications writes it (older names), one block per stage."""

    def unit(x: torch.Tensor, at: str, stride: int = 1, padding: int = 0) -> torch.Tensor:
        name = at if at == "conv1" else f"res{at}"
        c, n = layers[name], layers["bn_conv1" if at == "conv1" else f"bn{at}"]
        kernel = torch.tensor(c["kernel"]).permute(3, 2, 0, 1).double()
        x = F.conv2d(x, kernel, torch.tensor(c["bias"]).double(), stride, padding)
        gamma, beta, mean, variance = (
            torch.tensor(n[k]).double()[:, None, None] for k in KINDS["norm"]
        )
        return (x - mean) / (variance + EPSILON).sqrt() * gamma + beta

    x = F.max_pool2d(F.pad(unit(x, "conv1", 2, 3).relu(), (1, 1, 1, 1)), 3, 2)
    for stage in (2, 3, 4, 5):
        stride = 1 if stage == 2 else 2
        y = unit(x, f"{stage}a_branch2a", stride).relu()
        y = unit(unit(y, f"{stage}a_branch2b", 1, 1).relu(), f"{stage}a_branch2c")
        x = (y + unit(x, f"{stage}a_branch1", stride)).relu()
    fc = layers["fc1000"]
    return x.mean((2, 3)) @ torch.tensor(fc["kernel"]).double() + torch.tensor(fc["bias"])


@pytest.mark.parametrize("newer", [False, True])
def test_resnet_computes_what_keras_computes(newer: bool) -> None:
    file = keras_files.KerasFile(Path("x.tgz"), resnet_layers(newer), EPSILON)
    network = tiny_resnet().eval()
    state, variant = weights_keras.convert(BACKBONES["resnet50"], network, file)
    network.load_state_dict(state, strict=False)
    networks.use_v1_strides(network, "tiny")
    assert variant == networks.V1_STRIDES
    rgb = np.random.default_rng(5).integers(0, 256, (2, 3, 64, 64)).astype(np.float64)
    gain, offset = affine("imagenet")
    ours = torch.tensor(rgb * gain[:, None, None] + offset[:, None, None])
    bgr = rgb[:, ::-1] - np.array([103.939, 116.779, 123.68])[:, None, None]
    with torch.no_grad():
        got = network.double()(ours)
        want = keras_resnet(resnet_layers(newer=False), torch.tensor(bgr.copy()))
    # borders differ by at most half a grey level in the padding
    np.testing.assert_allclose(got, want, atol=2e-2 * float(want.abs().max()))
    assert float((got - want).abs().mean() / want.abs().mean()) < 5e-3


def test_fold_is_exact_away_from_the_border() -> None:
    kernel = np.random.default_rng(1).normal(0, 1, (4, 3, 3, 3))
    net = nn.Sequential()
    net.add_module("conv", nn.Conv2d(3, 4, 3))
    state = {"conv.weight": torch.tensor(kernel), "conv.bias": torch.zeros(4).double()}
    weights_keras._fold_input(state, net, "caffe", "imagenet")
    rgb = np.random.default_rng(2).integers(0, 256, (1, 3, 9, 9)).astype(np.float64)
    gain, offset = affine("imagenet")
    bgr = rgb[:, ::-1] - np.array([103.939, 116.779, 123.68])[:, None, None]
    want = F.conv2d(torch.tensor(bgr.copy()), torch.tensor(kernel))
    ours = torch.tensor(rgb * gain[:, None, None] + offset[:, None, None])
    got = F.conv2d(ours, state["conv.weight"].double(), state["conv.bias"].double())
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-3)


def test_fold_without_a_bias_goes_into_the_running_mean() -> None:
    kernel = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(1)).double()
    net = nn.Sequential()
    net.add_module("conv1", nn.Conv2d(3, 4, 3))
    state = {"conv1.weight": kernel, "bn1.running_mean": torch.zeros(4).double()}
    weights_keras._fold_input(state, net, "caffe", "imagenet")
    # ImageNet's mean grey is 0 after "imagenet", and these few hundredths after "caffe"
    left = 255 * np.array([0.406, 0.456, 0.485]) - np.array([103.939, 116.779, 123.68])
    want = -(kernel * torch.tensor(left)[:, None, None]).sum((1, 2, 3))
    np.testing.assert_allclose(state["bn1.running_mean"], want, rtol=1e-5)


@pytest.mark.parametrize("name", ["densenet121", "vgg16", "resnet101", "inception_v3"])
def test_every_layer_of_the_real_networks_has_a_keras_name(name: str) -> None:
    card = BACKBONES[name]
    network = networks.outline(card)
    modules = {
        n: m for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)
    }
    family = next(
        f for p, f in weights_keras.FAMILIES.items() if weights_keras.re.match(p, card.timm_name)
    )
    if family.names is None:
        assert len(modules) == 2 * 94  # Keras's InceptionV3 has 94 convolutions
        return
    labels = [family.names(it)[0] for it in modules]
    assert len(set(labels)) == len(labels)
    known = {
        "densenet121": {"conv1_bn", "conv5_block16_2_conv", "pool4_bn", "bn"},
        "vgg16": {"block1_conv1", "block3_conv3", "block5_conv3"},
        "resnet101": {"conv1_conv", "conv4_block23_3_bn", "conv2_block1_0_conv"},
    }[name]
    assert known <= set(labels)


def test_numbered_layers_are_taken_in_order_and_extra_ones_left() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 2, 1, bias=False),
        nn.BatchNorm2d(2),
        nn.Conv2d(2, 2, 1, bias=False),
        nn.BatchNorm2d(2),
    )
    rng = np.random.default_rng(0)
    layers = {
        f"conv2d_{n}": {"kernel": np.full((1, 1, i, 2), n, "f4")}
        for n, i in ((10, 2), (9, 3), (11, 7))
    }
    layers |= {f"batch_normalization_{n}": norm(rng, 2) for n in (10, 9)}
    file = keras_files.KerasFile(Path("x.h5"), layers)
    pairs = list(weights_keras._match_numbered(net, file))
    assert [float(layer["kernel"].flat[0]) for _, _, layer in pairs[:2]] == [9, 10]
    del layers["batch_normalization_9"]
    with pytest.raises(HilumError, match="2 layers named batch_normalization_<number>"):
        list(weights_keras._match_numbered(net, file))


def write_tfjs(folder: Path, layers: keras_files.Layers) -> Path:
    """A TensorFlow.js layers model in two shards."""
    folder.mkdir()
    entries, raw = [], b""
    for layer, arrays in layers.items():
        for kind, values in arrays.items():
            entries.append({"name": f"{layer}/{kind}", "shape": values.shape, "dtype": "float32"})
            raw += values.tobytes()
    names = ["group1-shard1of2.bin", "group1-shard2of2.bin"]
    (folder / names[0]).write_bytes(raw[:1001])
    (folder / names[1]).write_bytes(raw[1001:])
    norms = {"class_name": "BatchNormalization", "config": {"epsilon": EPSILON}}
    topology = {"model_config": {"config": {"layers": [norms]}}}
    manifest = [{"paths": names, "weights": entries}]
    (folder / "model.json").write_text(
        json.dumps({"modelTopology": topology, "weightsManifest": manifest})
    )
    return folder


def test_tfjs_folder_and_archive_read_alike(tmp_path: Path) -> None:
    layers = resnet_layers(newer=False)
    folder = write_tfjs(tmp_path / "model", layers)
    with tarfile.open(tmp_path / "model.tgz", "w:gz") as archive:
        archive.add(folder, "package/ResNet50")
    for found in (keras_files.read_keras(folder), keras_files.read_keras(tmp_path / "model.tgz")):
        assert found.epsilon == EPSILON
        assert found.layers.keys() == layers.keys()
        for layer, arrays in layers.items():
            for kind, values in arrays.items():
                assert np.array_equal(found.layers[layer][kind], values)


def test_damaged_and_hostile_tfjs_are_refused(tmp_path: Path) -> None:
    folder = write_tfjs(tmp_path / "model", resnet_layers(newer=False))
    spec = json.loads((folder / "model.json").read_text())
    spec["weightsManifest"][0]["paths"][0] = "../../secret.bin"
    (folder / "model.json").write_text(json.dumps(spec))
    with pytest.raises(HilumError, match="outside its folder"):
        keras_files.read_keras(folder)
    spec["weightsManifest"][0]["paths"] = ["group1-shard1of2.bin"]
    (folder / "model.json").write_text(json.dumps(spec))
    with pytest.raises(HilumError, match="float32"):
        keras_files.read_keras(folder)
    spec["weightsManifest"][0]["paths"] = ["absent.bin"]
    (folder / "model.json").write_text(json.dumps(spec))
    with pytest.raises(HilumError, match=r"'absent\.bin'"):
        keras_files.read_keras(folder)
    (folder / "model.json").write_text("{")
    with pytest.raises(HilumError, match=r"TensorFlow\.js"):
        keras_files.read_keras(folder)
    (tmp_path / "noise.tgz").write_bytes(b"not an archive")
    with pytest.raises(HilumError, match="archive"):
        keras_files.read_keras(tmp_path / "noise.tgz")
    with tarfile.open(tmp_path / "two.tgz", "w:gz") as archive:
        for name in ("a/model.json", "b/model.json"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(HilumError, match="got 2 of them"):
        keras_files.read_keras(tmp_path / "two.tgz")


def test_h5_of_every_writer_reads_alike(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    values = np.arange(6, dtype="f4").reshape(1, 1, 3, 2)
    for writer, suffix, nested in (
        ("keras2", ":0", False),
        ("keras3", "", False),
        ("whole", ":0", True),
    ):
        with h5py.File(tmp_path / f"{writer}.h5", "w") as file:
            group = file.create_group("model_weights") if nested else file
            outer = "resnet50" if nested else "conv1/conv"
            group.attrs["layer_names0"] = [outer]  # split, as Keras does with many names
            layer = group.create_group(outer)
            layer.attrs["weight_names"] = [f"conv1/conv/kernel{suffix}"]
            layer[f"conv1/conv/kernel{suffix}"] = values
            if nested:
                norms = {"class_name": "BatchNormalization", "config": {"epsilon": 0.002}}
                inner = {"class_name": "Functional", "config": {"layers": [norms]}}
                file.attrs["model_config"] = json.dumps({"config": {"layers": [inner]}})
        found = keras_files.read_keras(tmp_path / f"{writer}.h5")
        assert np.array_equal(found.layers["conv1_conv"]["kernel"], values)
        assert found.epsilon == (0.002 if nested else None)
    (tmp_path / "noise.h5").write_bytes(b"not HDF5")
    with pytest.raises(HilumError, match=r"saved as \.h5"):
        keras_files.read_keras(tmp_path / "noise.h5")


def small_h5(file: Path, times: int = 1, **described: Any) -> bytes:
    """A file with one weight, listed so many times, and a description."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(file, "w") as made:
        made.attrs["layer_names"] = [b"conv1"]
        made.attrs["model_config"] = json.dumps({"config": {"layers": []}})
        layer = made.create_group("conv1")
        layer.attrs["weight_names"] = [b"kernel:0"] * times
        layer.create_dataset("kernel:0", **described)
    return file.read_bytes()


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        ("bounds.bound_processor(float(sys.argv[3]))\nwhile True: pass", "longer to read than 1 s"),
        ("time.sleep(60)", "longer to read than 1 s"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", r"ends its reading \(signal SIGSEGV\)"),
        ("sys.exit(3)", r"ends its reading \(exit code 3\)"),
    ],
)
def test_h5_whose_reading_does_not_end_or_ends_the_process(
    reading: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In place of the library's own faults, a process that does the same."""
    file = tmp_path / "whole.h5"
    small_h5(file, data=np.ones((1, 2), "f4"))
    assert keras_files.read_keras(file).layers[""]["kernel"].tolist() == [[1, 1]]
    code = f"import os, signal, sys, time\nfrom hilum.files import bounds\n{reading}"
    monkeypatch.setattr(h5_process, "COMMAND", (sys.executable, "-c", code))
    monkeypatch.setattr(h5_process, "SECONDS", 1.0)
    # what computes may have to wait for a processor; what sleeps does not
    monkeypatch.setattr(h5_process, "WAITING", 1 if "sleep" in reading else 5)
    with pytest.raises(HilumError, match=said):
        keras_files.read_keras(file)


def test_h5_that_promises_much(tmp_path: Path) -> None:
    small_h5(tmp_path / "empty.h5", shape=(5000, 5000), dtype="f4", chunks=True)
    with pytest.raises(HilumError, match="an array of 25,000,000 numbers"):
        keras_files.read_keras(tmp_path / "empty.h5")
    small_h5(tmp_path / "again.h5", 200, data=np.ones(25_000, "f4"))
    with pytest.raises(HilumError, match="an array of 25,000 numbers"):
        keras_files.read_keras(tmp_path / "again.h5")


def test_h5_without_its_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(HilumError, match=r"pip install 'hilum\[keras\]'"):
        keras_files.read_keras(tmp_path / "any.h5")


def test_networks_that_keras_builds_differently_are_refused() -> None:
    file = keras_files.KerasFile(Path("x.h5"), {})
    with pytest.raises(HilumError, match=r"got 'x\.h5' for 'mobilenetv2_100'"):
        weights_keras.convert(BACKBONES["mobilenetv2_100"], nn.Sequential(), file)
    with pytest.raises(HilumError, match="must hold 'conv1_conv' or 'conv1'"):
        weights_keras.convert(BACKBONES["resnet50"], tiny_resnet(), file)
