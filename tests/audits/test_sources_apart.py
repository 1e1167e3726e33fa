"""C-23 where sources differ in the classes that they have."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from controls_of_tables import Cohort
from sklearn.metrics import roc_auc_score

from hilum.audits import AUDITS, Evidence, cross_validated_probe, look_alikes
from hilum.audits.c23_other_sources import REST

CLASSES = [*"wxyz"]


@pytest.fixture(autouse=True)
def few_replicates(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked here are areas, not how sure they are."""
    monkeypatch.setattr(cross_validated_probe, "REPLICATES", 20)
    monkeypatch.setattr(cross_validated_probe, "FOLDS", 2)


def study(**has: str) -> Evidence:
    """24 images of 12 people of each class that a source has; a class moves its own feature."""
    pairs = [(source, name) for source, names in has.items() for name in names]
    rows = [(source, name, i // 2) for (source, name), i in product(pairs, range(24))]
    table = pd.DataFrame(rows, columns=["source", "label", "person"])
    table["patient_id"] = table["source"] + table["label"] + table["person"].astype(str)
    random = np.random.default_rng(0)
    features = random.normal(size=(len(table), 8))
    features[np.arange(len(table)), table["label"].map(CLASSES.index)] += 1.5
    clean = Cohort(random, 60).evidence(model=None)
    manifest = table.assign(sample_id=[f"s/{i}" for i in range(len(table))])
    return replace(clean, classes=CLASSES, manifest=manifest, features=features)


def test_sources_without_a_class_in_common_leave_the_others_to_be_compared() -> None:
    known = study(A="wx", B="yz", C="wxyz")
    found = AUDITS["C-23"](known)
    table = known.shared["matrix"]
    pairs = set(zip(table["train"], table["test"], strict=True))
    assert pairs == {*product("ABC", repeat=2)} - {(*"AB",), (*"BA",)} | {*product([REST], "ABC")}
    assert not table[["auroc", "inside", "drop"]].isna().any().any()
    at_a, at_c = ((known.manifest["source"] == name).to_numpy() for name in "AC")
    looks = look_alikes.reduced(known.features)  # type: ignore[arg-type]
    probe = cross_validated_probe.fit_probe_pipeline(looks[at_a], known.labels[at_a])
    p = probe.predict_proba(looks[at_c])
    areas = [roc_auc_score(known.labels[at_c] == c, p[:, c]) for c in (0, 1)]
    there = table[(table["train"] == "A") & (table["test"] == "C")].iloc[0]
    assert there["auroc"] == pytest.approx(np.mean(areas), abs=1e-12)
    assert there["classes"] == "w; x"
    assert found.status != "unknown"
    assert found.value == table.loc[table["train"] == REST, "drop"].max()


def test_two_sources_that_share_no_class_cannot_be_compared() -> None:
    found = AUDITS["C-23"](study(A="wx", B="yz"))
    assert found.sentence == "Not checked: no source has a class that the others have too."


def test_a_class_of_one_patient_at_a_source_does_not_count_there() -> None:
    """Nor does it keep the source's other classes from being compared."""
    known = study(A="wx", B="wxy")
    at = (known.manifest["source"] == "B") & (known.manifest["label"] == "y")
    patients = known.manifest["patient_id"].mask(at, "one")
    one = replace(known, manifest=known.manifest.assign(patient_id=patients))
    without = (~at).to_numpy()
    assert known.features is not None
    manifest = known.manifest[without].reset_index(drop=True)
    rest = replace(known, manifest=manifest, features=known.features[without])
    assert AUDITS["C-23"](one) == AUDITS["C-23"](rest)
    pd.testing.assert_frame_equal(one.shared["matrix"], rest.shared["matrix"])
    assert set(one.shared["matrix"]["classes"]) == {"w; x"}


def test_a_source_of_one_class_is_no_source_to_compare() -> None:
    said = (
        "Not checked: no two sources have two classes of 10 images and 2 patients; "
        "test at another hospital with hilum evaluate."
    )
    assert AUDITS["C-23"](study(A="wx", B="w")).sentence == said
    known = study(A="wx", B="wx")
    only = known.manifest["patient_id"].mask(
        (known.manifest["source"] == "B") & (known.manifest["label"] == "x"), "one"
    )
    one = replace(known, manifest=known.manifest.assign(patient_id=only))
    assert AUDITS["C-23"](one).sentence == said


def test_the_external_test_does_not_decide_where_the_runs_own_test_has_one_class() -> None:
    clean = Cohort(np.random.default_rng(0), 180).evidence()
    films = clean.predictions.assign(path="x", patient_id=None, source="s")
    one_class = films[films["label"] == "covid19"]
    found = AUDITS["C-23"](replace(clean, predictions=one_class, external=films))
    assert found.sentence.startswith("A probe trained without ")
