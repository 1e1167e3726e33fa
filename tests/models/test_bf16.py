"""bf16 against fp32 on a processor that has it: the same ranking, nearly the same areas."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from hilum import images, preprocess
from hilum.inference.model import compile_backbone
from hilum.models import backbones
from hilum.models.runtime.base import Runtime

DEPTHWISE, DENSE, COUNT = "tf_efficientnet_lite0", "resnet18", 160
PIPELINE = preprocess.from_list([{"step": "resize", "side": 224}])


def in_precision(name: str, wanted: str) -> Runtime:
    backbone = backbones.build_backbone(name, "random")
    return compile_backbone(backbone, backbone.card.normalise, PIPELINE, wanted)


@pytest.mark.slow
def test_depthwise_convolutions_stay_in_fp32_unless_bf16_is_asked_for() -> None:
    able = in_precision(DENSE, "bf16").facts.precision
    assert in_precision(DENSE, "auto").facts.precision == able
    assert in_precision(DEPTHWISE, "auto").facts.precision == "fp32"
    assert in_precision(DEPTHWISE, "bf16").facts.precision == able


@pytest.mark.slow
def test_a_model_ranks_real_films_in_bf16_as_in_fp32(shared: Path) -> None:
    own, full = (in_precision(DENSE, wanted) for wanted in ("auto", "fp32"))
    if own.facts.precision != "bf16":
        pytest.skip("this machine computes in fp32 by itself")
    paths, _ = images.list_images(shared / "chest_xray" / "test")
    paths = paths[:: len(paths) // COUNT][:COUNT]
    stack = np.stack([PIPELINE(images.read(path, PIPELINE.decode_side).pixels) for path in paths])
    labels = np.array([path.parent.name == "NORMAL" for path in paths])
    features = {run.facts.precision: run(stack) for run in (own, full)}
    taught = np.arange(COUNT) % 2 == 0
    scaler = StandardScaler().fit(features["bf16"][taught])
    head = LogisticRegression(C=0.01).fit(
        scaler.transform(features["bf16"][taught]), labels[taught]
    )
    p = {
        name: head.predict_proba(scaler.transform(found[~taught]))[:, 1]
        for name, found in features.items()
    }
    areas = {name: roc_auc_score(labels[~taught], values) for name, values in p.items()}
    assert areas["fp32"] > 0.9
    assert abs(areas["bf16"] - areas["fp32"]) < 0.002
    assert spearmanr(p["bf16"], p["fp32"]).statistic > 0.995
    assert np.quantile(np.abs(p["bf16"] - p["fp32"]), 0.95) < 0.02
    assert not np.array_equal(p["bf16"], p["fp32"])
