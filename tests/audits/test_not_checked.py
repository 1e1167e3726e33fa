"""What audits of tables answer where there is too little: why, in words, and never a pass."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from controls_of_tables import Cohort, Shrunk
from scipy.stats import norm

from hilum.audits import AUDITS, Evidence, c24_seed_variance, cross_validated_probe
from hilum.inference import ood
from hilum.types import HilumError, Published, Split


@pytest.fixture(scope="module")
def clean() -> Evidence:
    """A study of tables alone, nothing wrong with it."""
    return Cohort(np.random.default_rng(0)).evidence()


def test_a_study_from_one_source_is_told_so(clean: Evidence) -> None:
    found = AUDITS["C-02"](replace(clean, manifest=clean.manifest.assign(source="A")))
    assert (found.status, found.value) == ("pass", 0.0)
    assert found.sentence.startswith("All images come from one source, so the source cannot")


def test_a_class_that_one_source_alone_has_is_not_probed(
    clean: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two normals half a deviation apart: an AUROC of Phi(0.5 / sqrt 2), in the class left."""
    monkeypatch.setattr(cross_validated_probe, "REPLICATES", 40)
    sources = clean.manifest["source"].where(clean.manifest["label"] == "covid19", "A")
    found = AUDITS["C-05"](replace(clean, manifest=clean.manifest.assign(source=sources)))
    assert found.sentence.startswith("Within COVID-19, a linear probe")
    assert found.value == pytest.approx(norm.cdf(0.5 / 2**0.5), abs=0.08)
    few = np.where(np.arange(len(sources)) < 16, "B", "A")  # eight of each class
    found = AUDITS["C-05"](replace(clean, manifest=clean.manifest.assign(source=few)))
    assert found.sentence == (
        "Not checked: no class has 10 images from each of two sources, so source and label cannot "
        "be separated."
    )


def test_unknown_patients_warn_without_features_or_training_images(clean: Evidence) -> None:
    nameless = replace(clean, manifest=clean.manifest.assign(patient_id=pd.NA))
    assert clean.split is not None
    tested = clean.split.table.assign(part="test")
    for change in ({"features": None}, {"split": Split(tested, "holdout", "patient", 0)}):
        found = AUDITS["C-10"](replace(nameless, **change))  # type: ignore[arg-type]
        assert (found.status, found.value) == ("warn", 0.0)
        assert found.sentence == (
            "600 of 600 images have no patient identifier: leakage between patients cannot be "
            "excluded."
        )


def test_no_image_was_tested(clean: Evidence) -> None:
    for name in ("C-19", "C-21", "C-26"):
        found = AUDITS[name](replace(clean, predictions=clean.predictions[:0]))
        assert found.sentence == "Not checked: no image was tested."


@pytest.mark.parametrize("readable", [4, 3, 0])
def test_films_that_have_gone_do_not_keep_the_gate_from_its_check(
    clean: Evidence, tmp_path: Any, readable: int
) -> None:
    """It is asked about those that are there, in each pose."""
    shown: list[int] = []

    def network(films: np.ndarray) -> np.ndarray:
        shown.append(len(films))
        return np.full((len(films), 1), 3.0)

    paths = [str(tmp_path / f"{i}.png") for i in range(len(clean.manifest))]
    for path in paths[:readable]:
        cv2.imwrite(path, np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8))
    gate = SimpleNamespace(scores=lambda features: features[:, 0])
    facts = SimpleNamespace(provenance={})
    model: Any = SimpleNamespace(gate=gate, runtime=network, pipeline=Shrunk(), facts=facts)
    table = pd.DataFrame({"sample_id": clean.manifest["sample_id"].iloc[:4]})
    manifest = clean.manifest.assign(path=paths)
    features = np.full((len(paths), 1), 0.5, np.float32)
    known = replace(clean, manifest=manifest, model=model, predictions=table, features=features)
    found = AUDITS["C-22"](known)
    if readable:
        assert (found.status, found.value) == ("pass", 1.0)
        assert shown[1] == readable * len(ood.POSES)
    else:
        assert found.sentence == "Not checked: the test images can no longer be read."
    bare = AUDITS["C-22"](replace(known, features=None))
    assert bare.sentence == "Not checked: the network's features are not available."


def test_models_tested_on_other_images_are_not_compared(clean: Evidence) -> None:
    """Nor is it said that there are none."""
    mine = clean.predictions
    elsewhere = mine.assign(cell="other", sample_id="x" + mine["sample_id"])
    part = mine.assign(cell="half", p_covid19=0.5).iloc[::2]
    for others in ([elsewhere], [elsewhere, part]):
        everything = pd.concat([mine, *others])
        known = replace(clean, all_predictions=everything)
        assert c24_seed_variance.superiority(known) == {}
        assert "No other model was tested on the same images, so" in AUDITS["C-24"](known).sentence
    not_among = replace(clean, predictions=mine.assign(cell="new"), all_predictions=everything)
    assert c24_seed_variance.superiority(not_among) == {}
    alone = AUDITS["C-24"](replace(clean, all_predictions=mine))
    assert "Only one model was trained, so there is nothing" in alone.sentence


def test_published_areas_alone_cannot_be_checked(clean: Evidence) -> None:
    area = Published("Table 2", "auroc", "covid19", 0.9, None, None, None, None)
    found = AUDITS["C-27"](replace(clean, published=[area]))
    assert found.sentence == (
        "Not checked: none of the published numbers can be checked against another."
    )


@pytest.mark.parametrize(
    ("labels", "patients", "said"),
    [
        ([0, 0, 0], [0, 1, 2], r"at least two patients of each class, are needed; got \[3\]"),
        ([0, 0, 1, 1, 2], [0, 1, 2, 3, 4], r"patients of each class, are needed; got \[2, 2, 1\]"),
        # scikit-learn leaves a part without a class where its patients have others as well
        ([0, 0, 0, 1, 1], [0, 0, 2, 0, 1], "3 patients, some of several classes, cannot be div"),
    ],
)
def test_a_probe_needs_patients_of_every_class(
    labels: list[int], patients: list[int], said: str
) -> None:
    table = np.random.default_rng(0).normal(size=(len(labels), 2))
    with pytest.raises(HilumError, match=said):
        cross_validated_probe.out_of_fold(table, np.array(labels), np.array(patients), 25)


def test_a_part_that_is_tested_may_have_one_class() -> None:
    labels, patients = np.array([1, 0, 1, 0, 1, 0]), np.array([0, 1, 1, 3, 3, 4])
    table = np.stack([labels, 1 - labels], 1) + 0.0
    p = cross_validated_probe.out_of_fold(table, labels, patients, 25)
    assert (p.argmax(1) == labels).all()
    assert p.sum(1) == pytest.approx(1)
