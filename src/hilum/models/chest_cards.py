"""Cards of networks that others trained on chest radiographs; a user brings their weights."""

from hilum.models.card import BackboneCard, Stages

DENSENET: Stages = (
    ("features.conv0", "features.norm0"),
    ("features.denseblock1", "features.transition1"),
    ("features.denseblock2", "features.transition2"),
    ("features.denseblock3", "features.transition3"),
    ("features.denseblock4", "features.norm5"),
)
HUANG = "Huang et al. 2017, doi:10.1109/CVPR.2017.243"
_XRV = "https://github.com/mlmed/torchxrayvision/releases/download/v1/"
_XRV_FILES = {  # as torchxrayvision calls its weights, and its releases the data they learned from
    "all": "nih-pc-chex-mimic_ch-google-openi-kaggle",
    "nih": "nih",
    "pc": "pc",
    "chex": "chex",
    "rsna": "kaggle",
    "mimic_nb": "mimic_nb",
    "mimic_ch": "mimic_ch",
}
_ARK = "asked for with the form of https://github.com/jlianglab/Ark; not for commercial use"


def _vit(last: str = "norm", first: tuple[str, ...] = ("cls_token", "pos_embed")) -> Stages:
    """Stages of a transformer with twelve blocks."""
    return _blocks(12, last, first)


def _blocks(depth: int, last: str, first: tuple[str, ...]) -> Stages:
    *blocks, final = ((f"blocks.{i}",) for i in range(depth))
    return ((*first, "patch_embed"), *blocks, (*final, last))


def _eva_x(size: str, width: int) -> BackboneCard:
    return BackboneCard(
        f"eva_x_{size}",
        f"eva02_{size}_patch14_224",
        224,
        "eva_x",
        width,
        _vit("fc_norm"),
        "MIT",
        "Yao et al. 2024, EVA-X, arXiv:2405.05237",
        layout="eva02",
        options=(("patch_size", 16), ("ref_feat_shape", (14, 14))),
        repository="MapleF/eva_x",
        file=f"eva_x_{size}_patch16_merged520k_mim.pt",
        note="Trained on 520,000 chest radiographs without labels, not on ImageNet.",
    )


def _ark(name: str, timm_name: str, side: int, width: int) -> BackboneCard:
    stages = tuple((f"layers.{i}",) for i in range(4))
    return BackboneCard(
        name,
        timm_name,
        side,
        "imagenet",
        width,
        (("patch_embed", *stages[0]), *stages[1:3], (*stages[3], "norm")),
        "non-commercial (Arizona State University)",
        "Ma et al. 2023, Foundation Ark, doi:10.1007/978-3-031-43907-0_62",
        layout="ark",
        options=(("img_size", side),),
        terms=_ARK,
        note="Trained on the labels of six collections of chest radiographs; its projector is left "
        "out.",
    )


ROWS = (
    BackboneCard(
        "xrv_densenet121",
        "densenet121",
        224,
        "xrv",
        1024,
        DENSENET,
        "Apache-2.0",
        "Cohen et al. 2022, TorchXRayVision, arXiv:2111.00595",
        aliases=("torchxrayvision",),
        layout="torchxrayvision",
        named=tuple(
            (name, f"{data}-densenet121-d121-tw-lr001-rot45-tr15-sc15-seed0-best.pt")
            for name, data in _XRV_FILES.items()
        ),
        release=_XRV,
        note="Trained on the labels of public collections of chest radiographs, not on ImageNet.",
    ),
    BackboneCard(
        "rad_dino",
        "vit_base_patch14_dinov2",
        518,
        "rad_dino",
        768,
        _vit(),
        "MIT",
        "Pérez-García et al. 2025, RAD-DINO, doi:10.1038/s42256-024-00965-w",
        layout="dinov2",
        options=(("img_size", 518),),
        repository="microsoft/rad-dino",
        note="Trained on chest radiographs without labels, not on ImageNet.",
    ),
    _eva_x("tiny", 192),
    _eva_x("small", 384),
    _ark("ark_swin_base", "swin_base_patch4_window7_224", 224, 1024),
    _ark("ark_swin_large", "swin_large_patch4_window12_384", 768, 1536),
    BackboneCard(
        "biomedclip",
        "vit_base_patch16_224",
        224,
        "clip",
        768,
        _vit(),
        "MIT",
        "Zhang et al. 2023, BiomedCLIP, arXiv:2303.00915",
        layout="open_clip",
        repository="microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
        file="open_clip_pytorch_model.bin",
        note="Trained on figures of biomedical papers and their captions, not on ImageNet.",
    ),
    BackboneCard(
        "medsiglip",
        "vit_so400m_patch14_siglip_384",
        448,
        "signed",
        1152,
        (*_blocks(27, "norm", ("pos_embed",)), ("attn_pool",)),
        "Health AI Developer Foundations terms",
        "Sellergren et al. 2025, MedGemma, arXiv:2507.05201",
        layout="siglip",
        options=(("img_size", 448), ("act_layer", "gelu_tanh")),
        repository="google/medsiglip-448",
        terms="its terms are accepted on the hub first",
        note="Trained on medical images and their captions, not on ImageNet.",
    ),
)
