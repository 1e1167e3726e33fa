"""The scikit-learn estimator keeps scikit-learn's rules, and is the head that training fits."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import hilum
from hilum.api.model import Model
from hilum.interop import HeadClassifier, ManifestDataset


@parametrize_with_checks([HeadClassifier()])
def test_scikit_learn_takes_it_for_one_of_its_own(estimator, check) -> None:
    check(estimator)


@pytest.mark.slow
def test_it_is_the_head_that_a_run_fits_on_the_same_features(out: Path, model: Model) -> None:
    split = pd.read_csv(out / "splits.csv").query("seed == 0")
    films = ManifestDataset(hilum.open_data(out), None, model.preparation)
    stack = np.stack([film.pixels[0].numpy() for film in films])
    features, _ = model.trained.features(stack)
    part = split.set_index("sample_id")["part"].loc[[film.sample_id for film in films]].to_numpy()
    labels = np.array(films.classes)[films.labels]

    used = part != "test"
    head = HeadClassifier("balanced").fit(
        features[used], labels[used], held_back=part[used] == "validation"
    )

    stored = load_file(out / "model" / "head.safetensors")
    for name, values in head.head_.arrays().items():
        np.testing.assert_allclose(values, stored[name], rtol=1e-5, atol=1e-7, err_msg=name)
    record = json.loads((out / "model" / "model.json").read_text())
    assert head.temperature_ == pytest.approx(record["temperature"], rel=1e-5)
    expected = model.trained.probabilities(stack[part == "test"])
    np.testing.assert_allclose(head.predict_proba(features[part == "test"]), expected, atol=1e-6)


def sample(images: int = 200) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    features = random.normal(size=(images, 6)) * [1, 10, 0.1, 1, 1, 1] + 3
    chance = 1 / (1 + np.exp(-(features[:, 0] - 3) * 2 - (features[:, 1] - 3) / 10))
    return features, (random.random(images) < chance).astype(int)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_one_penalty_gives_what_scikit_learn_s_own_regression_gives(
    class_weight: str | None,
) -> None:
    """Softmax of two classes with |W|^2 / 2 is sigmoid with half that penalty on the difference."""
    features, labels = sample()
    ours = HeadClassifier(class_weight, strengths=(0.1,), refit=True, calibrate=False)
    ours.fit(features, labels)
    theirs = make_pipeline(
        StandardScaler(),
        LogisticRegression(C=2 / (0.1 * len(labels)), class_weight=class_weight, tol=1e-10),
    ).fit(features, labels)
    np.testing.assert_allclose(
        ours.predict_proba(features), theirs.predict_proba(features), atol=2e-4
    )


def test_the_temperature_does_not_move_a_decision_and_lowers_the_loss_of_validation() -> None:
    features, labels = sample(120)
    noise = np.random.default_rng(0).normal(size=(120, 60))
    wide = np.hstack([features, noise])
    held_back = np.arange(120) % 3 == 0
    plain = HeadClassifier(strengths=(1e-4,), calibrate=False).fit(wide, labels, held_back)
    scaled = HeadClassifier(strengths=(1e-4,)).fit(wide, labels, held_back)
    assert scaled.temperature_ > 1.5  # 80 images, 66 features: too sure of itself
    assert (plain.predict(wide) == scaled.predict(wide)).all()
    rows = np.flatnonzero(held_back)
    losses = [
        -np.log(head.predict_proba(wide[rows])[np.arange(len(rows)), labels[rows]]).mean()
        for head in (plain, scaled)
    ]
    assert losses[1] < losses[0] - 0.1


def test_cross_validation_takes_class_names() -> None:
    features, labels = sample()
    names = np.array(["covid19", "normal"])[labels]
    assert cross_val_score(HeadClassifier(), features, names, cv=3).mean() > 0.7


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"class_weight": "even"},
            "class_weight is None, 'balanced' or a weight for each class; got 'even'",
        ),
        ({"validation": 1.0}, "validation is a share"),
        ({"strengths": ()}, "strengths are one or more"),
    ],
)
def test_wrong_settings_are_named(settings: dict, message: str) -> None:
    features, labels = sample(20)
    with pytest.raises(hilum.HilumError, match=message):
        HeadClassifier(**settings).fit(features, labels)


def test_a_class_must_have_an_image_to_train_on() -> None:
    features, labels = sample(20)
    with pytest.raises(ValueError, match="leave an image of each class"):
        HeadClassifier().fit(features, labels, held_back=labels == 0)
