"""Files of vision transformers in the layouts of their publishers, at a fraction of their size."""

import importlib.util
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from hilum import preprocess
from hilum.explain import cam, explainer, sanity_checks
from hilum.explain.explainer import ExplainableModel
from hilum.inference import model as models
from hilum.inference.model import ModelMetadata
from hilum.models import backbones, chest_cards, networks, weights
from hilum.models.backbone import Backbone
from hilum.models.cards import BACKBONES, BackboneCard
from hilum.models.heads import NumpyHead, Standardise
from hilum.types import HilumError

WIDTH, HEADS, DEPTH, HIDDEN = 24, 2, 3, 96
State = dict[str, Tensor]
SMALLER: dict[str, dict[str, Any]] = {
    "rad_dino": {"img_size": 56},
    "medsiglip": {"img_size": 56, "mlp_ratio": HIDDEN / WIDTH},
    "biomedclip": {"img_size": 64},
    "eva_x_tiny": {"img_size": 64, "ref_feat_shape": (4, 4)},
}
FIRST = {"medsiglip": ("pos_embed",)}


def tiny(name: str) -> BackboneCard:
    """The card with the same network, three blocks deep and 24 channels wide."""
    row = BACKBONES[name]
    smaller = {"embed_dim": WIDTH, "depth": DEPTH, "num_heads": HEADS, **SMALLER[name]}
    last = "fc_norm" if name == "eva_x_tiny" else "norm"
    first = FIRST.get(name, ("cls_token", "pos_embed"))
    stages = chest_cards._blocks(DEPTH, last, first)
    pool = (("attn_pool",),) if name == "medsiglip" else ()
    return replace(
        row,
        side=smaller["img_size"],
        features=WIDTH,
        stages=(*stages, *pool),
        options=tuple({**dict(row.options), **smaller}.items()),
    )


def tiny_swin() -> BackboneCard:
    options = {"embed_dim": 8, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 4), "img_size": 224}
    return replace(BACKBONES["ark_swin_base"], features=64, options=tuple(options.items()))


def drawn(shapes: dict[str, tuple[int, ...]]) -> State:
    generator = torch.Generator().manual_seed(4)
    return {
        name: torch.randn(shape, generator=generator) * 0.2 + ("norm" in name and "weight" in name)
        for name, shape in shapes.items()
    }


def linear(name: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name: str) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}


def dinov2(depth: int = DEPTH) -> State:
    """transformers' Dinov2Model: names and shapes."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.cls_token": (1, 1, WIDTH),
        "embeddings.mask_token": (1, WIDTH),
        "embeddings.position_embeddings": (1, 17, WIDTH),
        "embeddings.patch_embeddings.projection.weight": (WIDTH, 3, 14, 14),
        "embeddings.patch_embeddings.projection.bias": (WIDTH,),
        **norm("layernorm"),
    }
    for i in range(depth):
        at = f"encoder.layer.{i}"
        shapes |= norm(f"{at}.norm1") | norm(f"{at}.norm2")
        for part in ("query", "key", "value"):
            shapes |= linear(f"{at}.attention.attention.{part}", WIDTH, WIDTH)
        shapes |= linear(f"{at}.attention.output.dense", WIDTH, WIDTH)
        shapes |= {f"{at}.layer_scale{n}.lambda1": (WIDTH,) for n in (1, 2)}
        shapes |= linear(f"{at}.mlp.fc1", 4 * WIDTH, WIDTH) | linear(
            f"{at}.mlp.fc2", WIDTH, 4 * WIDTH
        )
    return drawn(shapes)


def siglip() -> State:
    """transformers' SiglipModel: its image tower, and a little of the rest."""
    shapes: dict[str, tuple[int, ...]] = {
        "logit_scale": (1,),
        "text_model.embeddings.token_embedding.weight": (7, WIDTH),
        "vision_model.embeddings.patch_embedding.weight": (WIDTH, 3, 14, 14),
        "vision_model.embeddings.patch_embedding.bias": (WIDTH,),
        "vision_model.embeddings.position_embedding.weight": (16, WIDTH),
        **norm("vision_model.post_layernorm"),
        "vision_model.head.probe": (1, 1, WIDTH),
        "vision_model.head.attention.in_proj_weight": (3 * WIDTH, WIDTH),
        "vision_model.head.attention.in_proj_bias": (3 * WIDTH,),
        **linear("vision_model.head.attention.out_proj", WIDTH, WIDTH),
        **norm("vision_model.head.layernorm"),
        **linear("vision_model.head.mlp.fc1", HIDDEN, WIDTH),
        **linear("vision_model.head.mlp.fc2", WIDTH, HIDDEN),
    }
    for i in range(DEPTH):
        at = f"vision_model.encoder.layers.{i}"
        shapes |= norm(f"{at}.layer_norm1") | norm(f"{at}.layer_norm2")
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= linear(f"{at}.self_attn.{part}", WIDTH, WIDTH)
        shapes |= linear(f"{at}.mlp.fc1", HIDDEN, WIDTH) | linear(f"{at}.mlp.fc2", WIDTH, HIDDEN)
    return drawn(shapes)


class Reference:
    """The published arithmetic of a transformer, on tensors under their publisher's names."""

    def __init__(self, state: State) -> None:
        self.state = state

    def linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def norm(self, x: Tensor, name: str) -> Tensor:
        return F.layer_norm(
            x, (WIDTH,), self.state[f"{name}.weight"], self.state[f"{name}.bias"], 1e-6
        )

    def patches(self, x: Tensor, name: str) -> Tensor:
        maps = F.conv2d(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"], stride=14)
        return maps.flatten(2).transpose(1, 2)

    def attend(self, x: Tensor, names: list[str]) -> Tensor:
        """Scaled dot products, head by head."""
        q, k, v = (self.linear(x, name).unflatten(2, (HEADS, -1)).transpose(1, 2) for name in names)
        scores = (q @ k.transpose(2, 3)) / q.shape[3] ** 0.5
        return (scores.softmax(3) @ v).transpose(1, 2).flatten(2)

    def dinov2(self, x: Tensor) -> Tensor:
        patches = self.patches(x, "embeddings.patch_embeddings.projection")
        cls = self.state["embeddings.cls_token"].expand(len(x), -1, -1)
        x = torch.cat([cls, patches], 1) + self.state["embeddings.position_embeddings"]
        for i in range(DEPTH):
            at = f"encoder.layer.{i}"
            names = [f"{at}.attention.attention.{part}" for part in ("query", "key", "value")]
            y = self.attend(self.norm(x, f"{at}.norm1"), names)
            y = self.linear(y, f"{at}.attention.output.dense")
            x = x + self.state[f"{at}.layer_scale1.lambda1"] * y
            y = F.gelu(self.linear(self.norm(x, f"{at}.norm2"), f"{at}.mlp.fc1"))
            x = x + self.state[f"{at}.layer_scale2.lambda1"] * self.linear(y, f"{at}.mlp.fc2")
        return self.norm(x, "layernorm")[:, 0]

    def siglip_mlp(self, x: Tensor, name: str) -> Tensor:
        return self.linear(F.gelu(self.linear(x, f"{name}.fc1"), approximate="tanh"), f"{name}.fc2")

    def siglip(self, x: Tensor) -> Tensor:
        x = self.patches(x, "vision_model.embeddings.patch_embedding")
        x = x + self.state["vision_model.embeddings.position_embedding.weight"]
        for i in range(DEPTH):
            at = f"vision_model.encoder.layers.{i}"
            names = [f"{at}.self_attn.{part}_proj" for part in "qkv"]
            y = self.attend(self.norm(x, f"{at}.layer_norm1"), names)
            x = x + self.linear(y, f"{at}.self_attn.out_proj")
            x = x + self.siglip_mlp(self.norm(x, f"{at}.layer_norm2"), f"{at}.mlp")
        x = self.norm(x, "vision_model.post_layernorm")
        attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        own = "vision_model.head.attention."
        attention.load_state_dict(
            {name.removeprefix(own): it for name, it in self.state.items() if name.startswith(own)}
        )
        probe = self.state["vision_model.head.probe"].expand(len(x), -1, -1)
        y = attention(probe, x, x)[0]
        return (
            y
            + self.siglip_mlp(self.norm(y, "vision_model.head.layernorm"), "vision_model.head.mlp")
        )[:, 0]


def eva02() -> State:
    """EVA-X after masked modelling: a mask token, a head for tokens, no norm after the mean."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, WIDTH),
        "pos_embed": (1, 17, WIDTH),
        "mask_token": (1, 1, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, 16, 16),
        "patch_embed.proj.bias": (WIDTH,),
        "rope.freqs_cos": (16, 12),
        **norm("norm"),
        **linear("lm_head", 8, WIDTH),
    }
    hidden = int(WIDTH * 4 * 2 / 3)
    for i in range(DEPTH):
        at = f"blocks.{i}"
        shapes |= (
            norm(f"{at}.norm1") | norm(f"{at}.norm2") | linear(f"{at}.attn.proj", WIDTH, WIDTH)
        )
        shapes |= {f"{at}.attn.{part}_bias": (WIDTH,) for part in "qv"}
        shapes |= {f"{at}.attn.qkv.weight": (3 * WIDTH, WIDTH)}
        shapes |= linear(f"{at}.mlp.w12", 2 * hidden, WIDTH) | linear(f"{at}.mlp.w3", WIDTH, hidden)
    return drawn(shapes)


def open_clip(card: BackboneCard) -> State:
    own = networks.outline(card).state_dict()
    trunk = drawn({f"visual.trunk.{name}": tuple(tensor.shape) for name, tensor in own.items()})
    return trunk | drawn(
        {"logit_scale": (1,), "visual.head.proj.weight": (8, WIDTH), "text.proj.0.weight": (8, 8)}
    )


def loaded(card: BackboneCard, path: Path) -> Backbone:
    found = weights.read_weights(card, path)
    backbone = Backbone(card, found.without_state()).eval()
    backbone.net.load_state_dict({name: found.state[name] for name in backbone.net.state_dict()})
    return backbone


def films(side: int) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize(("name", "file"), [("rad_dino", dinov2()), ("medsiglip", siglip())])
def test_features_are_those_of_the_published_arithmetic(
    name: str, file: State, tmp_path: Path
) -> None:
    card = tiny(name)
    save_file(file, tmp_path / "model.safetensors")
    backbone = loaded(card, tmp_path / "model.safetensors")
    reference = Reference(file)
    with torch.no_grad():
        x = films(card.side)
        wanted = reference.dinov2(x) if name == "rad_dino" else reference.siglip(x)
        torch.testing.assert_close(backbone(x), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="transformers is not installed"
)
@pytest.mark.parametrize("name", ["rad_dino", "medsiglip"])
def test_features_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    import transformers  # type: ignore[import-not-found]

    card = tiny(name)
    common = {"hidden_size": WIDTH, "num_hidden_layers": DEPTH, "num_attention_heads": HEADS}
    common |= {"image_size": card.side, "patch_size": 14}
    if name == "rad_dino":
        theirs = transformers.Dinov2Model(transformers.Dinov2Config(**common))
    else:
        config = transformers.SiglipVisionConfig(**common, intermediate_size=HIDDEN)
        theirs = transformers.SiglipVisionModel(config)
    generator = torch.Generator().manual_seed(6)
    for parameter in theirs.eval().parameters():
        parameter.data.normal_(0, 0.2, generator=generator)
    theirs.save_pretrained(tmp_path)  # as on the hub
    save_file(theirs.state_dict(), tmp_path / "named_as_in_memory.safetensors")
    with torch.no_grad():
        x = films(card.side)
        want = theirs(x).pooler_output
        for file in ("model", "named_as_in_memory"):
            got = loaded(card, tmp_path / f"{file}.safetensors")(x)
            torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_eva_x_is_taken_whole(tmp_path: Path) -> None:
    card, file = tiny("eva_x_tiny"), eva02()
    torch.save({"model": file, "epoch": 3}, tmp_path / "eva.pt")
    found = weights.read_weights(card, tmp_path / "eva.pt")
    assert found.ignored == ("lm_head.bias", "lm_head.weight", "mask_token", "rope.freqs_cos")
    for ours, theirs in (
        ("blocks.1.mlp.fc1.weight", "blocks.1.mlp.w12.weight"),
        ("blocks.1.mlp.fc2.bias", "blocks.1.mlp.w3.bias"),
        ("fc_norm.weight", "norm.weight"),
    ):
        assert torch.equal(found.state[ours], file[theirs])
    parted = {}  # as other releases have them, one matrix each
    for name, tensor in file.items():
        if ".attn.qkv." in name:
            thirds = tensor.chunk(3)
            parted |= {
                name.replace("qkv", f"{p}_proj"): it for p, it in zip("qkv", thirds, strict=True)
            }
        elif ".mlp.w12." in name:
            halves = tensor.chunk(2)
            parted |= {
                name.replace("w12", p): it for p, it in zip(("w1", "w2"), halves, strict=True)
            }
        elif re.search(r"\.attn\.[qv]_bias$", name):
            parted[name.replace("_bias", "_proj.bias")] = tensor
        else:
            parted[name] = tensor
    save_file({k: v.contiguous() for k, v in parted.items()}, tmp_path / "eva.safetensors")
    assert weights.read_weights(card, tmp_path / "eva.safetensors").digest == found.digest


def test_open_clip_image_tower(tmp_path: Path) -> None:
    card = tiny("biomedclip")
    file = open_clip(card)
    torch.save(file, tmp_path / "open_clip_pytorch_model.bin")
    found = weights.read_weights(card, tmp_path / "open_clip_pytorch_model.bin")
    assert found.ignored == ("logit_scale", "text.proj.0.weight", "visual.head.proj.weight")
    assert torch.equal(
        found.state["blocks.2.attn.qkv.bias"], file["visual.trunk.blocks.2.attn.qkv.bias"]
    )


def test_ark_teacher_of_an_older_timm(tmp_path: Path) -> None:
    card = tiny_swin()
    own = networks.outline(card).state_dict()
    teacher = drawn({name: tuple(tensor.shape) for name, tensor in own.items()})
    old = {}
    for name, tensor in teacher.items():
        earlier = re.sub(
            r"layers\.(\d)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample", name
        )
        old[f"module.{earlier}"] = tensor
    extra = drawn(
        {
            "module.projector.weight": (9, 64),
            "module.omni_heads.0.bias": (14,),
            "module.layers.0.blocks.0.attn.relative_position_index": (4, 4),
        }
    )
    student = {name: tensor + 1 for name, tensor in old.items()}
    torch.save({"state_dict": student, "teacher": old | extra}, tmp_path / "ark.pth.tar")
    found = weights.read_weights(card, tmp_path / "ark.pth.tar")
    assert all(torch.equal(found.state[name], tensor) for name, tensor in teacher.items())
    assert len(found.ignored) == 3


def test_wrong_files_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    for file, message in (
        (
            siglip(),
            r"must hold the tensor 'cls_token' of shape \(1, 1, 24\); got a file without it",
        ),
        (dinov2(DEPTH + 1), r"14 tensors in w.safetensors that it has no place for, 'blocks\.3"),
        ({**dinov2(), "embeddings.register_tokens": torch.ones(1, 4, WIDTH)}, r"'embeddings.reg"),
        (
            {**dinov2(), "embeddings.position_embeddings": torch.ones(1, 5, WIDTH)},
            r"'pos_embed' with",
        ),
        ({}, "must hold the tensor"),
    ):
        save_file(file, path)
        with pytest.raises(HilumError, match=message):
            weights.read_weights(tiny("rad_dino"), path)


def test_a_head_in_the_file_is_left_out_and_said(tmp_path: Path) -> None:
    file = {**dinov2(), **drawn(linear("classifier", 3, WIDTH))}
    save_file(file, tmp_path / "w.safetensors")
    found = weights.read_weights(tiny("rad_dino"), tmp_path / "w.safetensors")
    assert found.ignored == ("classifier.bias", "classifier.weight", "mask_token")
    assert loaded(tiny("rad_dino"), tmp_path / "w.safetensors").net.num_classes == 0


def head(width: int) -> NumpyHead:
    rng = np.random.default_rng(1)
    scale = Standardise(rng.normal(size=width), rng.uniform(0.5, 2, width))
    return NumpyHead(scale, ((rng.normal(size=(3, width)), rng.normal(size=3)),))


def asked(card: BackboneCard, mirror: bool = False) -> tuple[ExplainableModel, Backbone]:
    """A model of random weights with a linear head, ready to be explained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        backbone = Backbone(card, weights.Weights({}, "", "", "")).eval()
    for name, tensor in backbone.state_dict().items():
        if name.endswith("gamma"):
            tensor.fill_(1.0)
    facts = ModelMetadata(["a", "b", "c"], card.normalise, "fp32", mirror)
    return explainer.of_parts(facts, backbone, head(card.features)), backbone


def film(side: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (side, side)).astype(np.uint8)


@pytest.mark.parametrize("name", sorted(SMALLER))
def test_transformers_have_heat_maps(name: str) -> None:
    card = tiny(name)
    subject, backbone = asked(card)
    with torch.no_grad():
        x = films(card.side)
        torch.testing.assert_close(backbone.from_maps(backbone.maps(x)), backbone(x))
    for method in ("gradcam", "hirescam"):
        signed = cam.evidence(subject, film(card.side), 1, method)
        assert signed.shape == (4, 4)
        assert np.isfinite(signed).all()
        assert np.ptp(signed) > 0


def test_the_map_of_a_mean_of_tokens_adds_up_to_the_logit() -> None:
    """HiResCAM of a mean and a linear head: each place's own share of the logit."""
    card = replace(tiny("medsiglip"), timm_name="vit_so400m_patch14_siglip_gap_448")
    subject, backbone = asked(card)
    picture, top = film(card.side), head(WIDTH)
    found = cam.evidence(subject, picture, 2, "hirescam")
    weight = torch.from_numpy(top.layers[0][0][2] / top.standardise.deviation).float()
    tokens = backbone.net.forward_features(subject.normalise(torch.from_numpy(picture)[None, None]))
    shares = (tokens[0].detach() @ weight).reshape(4, 4) / 16
    np.testing.assert_allclose(found, shares.numpy(), rtol=1e-4, atol=1e-6)


def test_heat_of_a_class_token_depends_on_weights_and_place() -> None:
    """Adebayo's check: made random from the head down, the map is another one."""
    card = tiny("rad_dino")
    subject, _ = asked(card, mirror=True)
    table = sanity_checks.cascading_randomisation(subject, film(card.side)[None], np.array([0]))
    assert list(table.level) == ["trained", "head", *(" + ".join(s) for s in reversed(card.stages))]
    assert table.spearman.iloc[0] == 1
    assert table.spearman.iloc[-1] < 0.9


def test_flattened_tokens_are_refused() -> None:
    with pytest.raises(HilumError, match="'flatten' is for convolutional networks"):
        Backbone(tiny("rad_dino"), weights.Weights({}, "", "", ""), "flatten")


def test_another_side_is_refused() -> None:
    backbones.require_fit(tiny("rad_dino"), (56, 56))
    with pytest.raises(HilumError, match=r"trained on 56 x 56 .* set prepare.side to 0 or 56"):
        backbones.require_fit(tiny("rad_dino"), (70, 70))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test_vit", "eva_x_tiny"])
def test_a_compiled_transformer_explains_what_it_answers(name: str) -> None:
    """The compiled network's maps and features are torch's, and so is the heat map."""
    row = backbones.backbone_card(name) if name == "test_vit" else tiny(name)
    plain, backbone = asked(row, mirror=True)
    facts = ModelMetadata(["a", "b", "c"], row.normalise, "fp32", mirror=True)
    pipeline = preprocess.from_list([{"step": "resize", "side": row.side}])
    compiled = models.compile_model(facts, pipeline, backbone, head(row.features))
    subject = explainer.make_explainable(compiled)
    picture = film(row.side)
    seen, wanted = subject.see(picture[None]), plain.see(picture[None])
    np.testing.assert_allclose(seen.features, wanted.features, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(seen.maps, wanted.maps, rtol=1e-3, atol=1e-4)
    heat = [cam.heat(one, picture, 1) for one in (subject, plain)]
    np.testing.assert_allclose(heat[0], heat[1], rtol=1e-2, atol=1e-2 * float(heat[1].max()))
