"""Weights from packages, files and the (unreachable) hub; nothing here touches the network."""

import pickle
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hilum.models import checkpoints, hub, networks, weights
from hilum.models.backbones import BACKBONES, backbone_card, build_backbone, rebuild_backbone
from hilum.models.normalise import affine
from hilum.types import HilumError, MissingError

LITE0 = BACKBONES["tf_efficientnet_lite0"]
SMALL = backbone_card("mobilenetv2_035")  # real, and small enough to write to disk in a test


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "fetch", lambda repository, file: None)


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return networks.create(SMALL, classifier=True).state_dict()


def without_counters(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {n: t for n, t in state.items() if not n.endswith("num_batches_tracked")}


def test_embedded_weights_know_a_cat_and_a_coffee() -> None:
    """The numbers that the weights' publisher's network gives: 285 at about 0.75."""
    data = pytest.importorskip("skimage.data")
    loaded = weights.load_weights(LITE0, "imagenet")
    assert len(loaded.state) == 296
    assert loaded.licence == "Apache-2.0"
    network = networks.create(LITE0, classifier=True).eval()
    network.load_state_dict(loaded.state)
    gain, offset = affine("signed")
    for name, want, least in (("chelsea", 285, 0.65), ("coffee", 967, 0.8)):
        photo = cv2.resize(getattr(data, name)(), (224, 224), interpolation=cv2.INTER_AREA)
        x = torch.tensor((photo * gain + offset).transpose(2, 0, 1)[None], dtype=torch.float32)
        with torch.no_grad():
            p = network(x).softmax(1)[0]
        assert int(p.argmax()) == want
        assert float(p.max()) > least


def test_order_and_shape_survive_other_names(state: dict, tmp_path: Path) -> None:
    """torchvision numbers its MobileNetV2; half precision and a missing classifier are fine too."""
    plain = without_counters(state)
    want = weights.read_weights(SMALL, _saved(plain, tmp_path / "timm.safetensors"))
    modules = list(dict.fromkeys(name.rpartition(".")[0] for name in plain))
    renamed = {
        f"features.{modules.index(n.rpartition('.')[0])}.{n.rpartition('.')[2]}": t
        for n, t in plain.items()
    }
    by_alphabet = weights.read_weights(SMALL, _saved(renamed, tmp_path / "numbered.safetensors"))
    torch.save({"state_dict": renamed, "epoch": 3}, tmp_path / "nested.pth")
    nested = weights.read_weights(SMALL, tmp_path / "nested.pth")
    torch.save({f"module.{n}": t.half() for n, t in state.items()}, tmp_path / "half.pt")
    half = weights.read_weights(SMALL, tmp_path / "half.pt")
    headless = {n: t for n, t in plain.items() if not n.startswith("classifier")}
    bare = weights.read_weights(SMALL, _saved(headless, tmp_path / "bare.safetensors"))
    assert want.digest == by_alphabet.digest == nested.digest == bare.digest != half.digest
    for found in (want, by_alphabet, nested):
        assert found.state.keys() == state.keys()
        assert all(torch.equal(found.state[n], t) for n, t in plain.items())
    assert all(t.dtype == torch.float32 for n, t in half.state.items() if n in plain)
    assert "classifier.weight" not in bare.state


def test_a_classifier_of_other_width_and_strangers_are_reported(
    state: dict, tmp_path: Path
) -> None:
    other = without_counters(state) | {
        "classifier.weight": torch.zeros(2, 1280),
        "ema": torch.ones(1),
    }
    found = weights.read_weights(SMALL, _saved(other, tmp_path / "two.safetensors"))
    assert found.ignored == ("classifier.weight", "ema")


def test_misfits_are_named(state: dict, tmp_path: Path) -> None:
    plain = without_counters(state)
    wrong = plain | {"conv_stem.weight": torch.zeros(16, 1, 3, 3)}
    with pytest.raises(HilumError, match=r"'conv_stem.weight' with shape \(16, 3, .*got \(16, 1"):
        weights.read_weights(SMALL, _saved(wrong, tmp_path / "wrong.safetensors"))
    del plain["bn1.weight"]
    with pytest.raises(HilumError, match=r"the tensor 'bn1\.weight' of shape \(16,\)"):
        weights.read_weights(SMALL, _saved(plain, tmp_path / "short.safetensors"))


class Bomb:
    """Runs code when it is unpickled without care."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple:
        return Path.touch, (self.flag,)


@pytest.mark.parametrize("protocol", [0, 2, 4, None])
def test_a_malicious_pickle_runs_nothing(tmp_path: Path, protocol: int | None) -> None:
    flag, path = tmp_path / "owned", tmp_path / "bad.pth"
    if protocol is None:
        torch.save({"x": Bomb(flag)}, path)
    else:
        path.write_bytes(pickle.dumps({"x": Bomb(flag)}, protocol))
    with pytest.raises(HilumError, match="holds tensors alone"):
        weights.read_weights(SMALL, path)
    assert not flag.exists()


@pytest.mark.parametrize(
    "name", ["noise.pth", "noise.safetensors", "empty.pt", "empty.safetensors"]
)
def test_damaged_files_give_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"" if name.startswith("empty") else bytes(range(256)) * 9)
    with pytest.raises(HilumError, match=name.replace(".", r"\.")) as caught:
        weights.read_weights(SMALL, tmp_path / name)
    assert "\n" not in str(caught.value)


def test_random_damage_to_a_pickle_never_escapes_as_a_traceback(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sound = pickle.dumps({"a": [1, 2.5, "x"], "b": (b"y", {3: None})}, 2)
    path = tmp_path / "damaged.pth"
    for _ in range(300):
        damaged = bytearray(sound)
        damaged[rng.integers(len(sound))] = rng.integers(256)
        path.write_bytes(damaged[: rng.integers(1, len(sound) + 1)])
        with pytest.raises(HilumError):
            weights.read_weights(SMALL, path)


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.onnx").touch()
    with pytest.raises(HilumError, match=r"got 'w\.onnx'"):
        weights.read_weights(SMALL, tmp_path / "w.onnx")
    with pytest.raises(MissingError, match="does not exist"):
        weights.load_weights(SMALL, tmp_path / "none.safetensors")
    torch.save([torch.ones(1)], tmp_path / "list.pth")
    with pytest.raises(HilumError, match="got list"):
        weights.read_weights(SMALL, tmp_path / "list.pth")


def test_offline_says_what_to_fetch_and_the_cache_is_searched_first(state: dict) -> None:
    with pytest.raises(MissingError) as caught:
        weights.load_weights(SMALL, "imagenet")
    for part in (
        SMALL.timm_name,
        "model.safetensors",
        "--weights FILE",
        str(weights.cache_path(SMALL)),
    ):
        assert part in str(caught.value)
    assert caught.value.exit_code == 3
    path = weights.cache_path(SMALL)
    path.parent.mkdir(parents=True, exist_ok=True)
    _saved(without_counters(state), path)
    try:
        assert weights.load_weights(SMALL, "imagenet").origin == f"the cache's {path.name}"
    finally:
        path.unlink()


def test_offline_flag_is_honoured_without_a_single_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(hub, "is_reachable", lambda endpoint: pytest.fail("asked the network"))
    assert hub.fetch("timm/certainly_not_cached", "model.safetensors") is None


def test_an_unreachable_hub_is_given_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "TIMEOUT", 0.2)
    assert not hub.is_reachable("https://127.0.0.1:9")


def test_a_file_keeps_variant_and_tensors(tmp_path: Path) -> None:
    loaded = replace(weights.load_weights(SMALL, "random", 1), variant=networks.V1_STRIDES)
    save_file(loaded.state, tmp_path / "w.safetensors", {"variant": loaded.variant})
    again = weights.read_weights(SMALL, tmp_path / "w.safetensors")
    assert (again.digest, again.variant) == (loaded.digest, networks.V1_STRIDES)
    with pytest.raises(HilumError, match="v1 strides are for ResNet50"):
        build_backbone(SMALL.name, tmp_path / "w.safetensors")


def test_random_weights_are_seeded_and_private() -> None:
    before = torch.random.get_rng_state()
    first, second, other = (build_backbone(SMALL.name, "random", seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.weights.digest == second.weights.digest != other.weights.digest
    assert not first.weights.state
    assert torch.equal(first.net.conv_stem.weight, second.net.conv_stem.weight)


def test_pooled_features_are_the_mean_of_the_maps_and_a_record_rebuilds() -> None:
    backbone = build_backbone(SMALL.name, "random", 3)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(backbone(x), backbone.maps(x).mean((2, 3)))
        again = rebuild_backbone(backbone.record(), backbone.state_dict())
        assert torch.equal(again(x), backbone(x))
        flat = build_backbone(SMALL.name, "random", 3, pool="flatten")
        assert torch.equal(flat(x), backbone.maps(x).flatten(1))
    assert not backbone.training
    broken = dict(backbone.state_dict())
    del broken["net.conv_stem.weight"]
    with pytest.raises(HilumError, match=r"net\.conv_stem\.weight"):
        rebuild_backbone(backbone.record(), broken)


def test_v1_strides_keep_shapes_and_change_values() -> None:
    resnet = BACKBONES["resnet50"]
    plain, changed = networks.outline(resnet), networks.outline(resnet)
    networks.use_v1_strides(changed, "resnet50")
    x = torch.zeros(1, 3, 64, 64, device="meta")
    assert plain.forward_features(x).shape == changed.forward_features(x).shape
    assert changed.layer2[0].conv1.stride == (2, 2)
    assert changed.layer2[0].conv2.stride == (1, 1)


def test_side_loaded_vgg16_has_features_only(shared: Path) -> None:
    path = shared.parent / "weights" / "vgg16_features_imagenet_fp16.safetensors"
    if not path.is_file():
        pytest.skip(f"{path} is not on this machine")
    backbone = build_backbone("vgg16", path)
    assert len(backbone.net.state_dict()) == 26
    assert next(backbone.parameters()).dtype == torch.float32
    with torch.no_grad():
        assert backbone(torch.zeros(1, 3, 64, 64)).shape == (1, 512)
    raw, _ = checkpoints.read_safetensors(path)
    assert np.array_equal(
        raw["features.0.weight"].float().numpy(), backbone.net.features[0].weight.detach().numpy()
    )


def _saved(state: dict[str, torch.Tensor], path: Path) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return path
