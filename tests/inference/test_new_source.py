"""Batches of a new source: recognised, said, abstained from; the reference kept and read back."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from hilum import preprocess
from hilum.inference import answer, model_json, new_source
from hilum.inference.answer import PreparedImage
from hilum.inference.model import ModelMetadata, TrainedModel
from hilum.inference.new_source import SourceReference
from hilum.inference.ood import QuickCheck
from hilum.inference.training_record import Print
from hilum.models.numpy_head import NumpyHead, Standardise
from hilum.types import HilumError

WIDTH = 30
PAIRS = [("a", "covid19"), ("a", "normal"), ("b", "normal")]


def features(seed: int, count: int, group: int = 0) -> np.ndarray:
    """(image, feature) of a group of PAIRS; group 3 is a hospital that is none of them."""
    random = np.random.default_rng([seed, group])
    centre = np.random.default_rng(group).normal(0, 1.0, WIDTH)
    return (centre + random.normal(size=(count, WIDTH))).astype(np.float32)


@pytest.fixture(scope="module")
def reference() -> SourceReference:
    basis = np.concatenate([features(1, 40, group) for group in range(3)])
    known = np.concatenate([features(2, 40, group) for group in range(3)])
    groups = [pair for pair in PAIRS for _ in range(40)]
    return new_source.fit_reference(basis, known, groups, [str(i) for i in range(120)])


def test_the_components_are_principal_ones_of_unit_variance(reference: SourceReference) -> None:
    basis = np.concatenate([features(1, 40, group) for group in range(3)])
    scaled = StandardScaler().fit_transform(basis)
    other = PCA(svd_solver="full").fit_transform(scaled)[:, :5]
    ours = reference.project(basis)[:, :5]
    assert ours.std(0) == pytest.approx(1, abs=1e-2)
    assert np.abs([np.corrcoef(ours[:, i], other[:, i])[0, 1] for i in range(5)]).min() > 0.999


def test_known_sources_in_any_mixture_are_not_new_and_another_is(
    reference: SourceReference,
) -> None:
    def judged(*rows: np.ndarray) -> new_source.NewSource:
        points = reference.project(np.concatenate(rows))
        return new_source.judge(reference, points, [None] * len(points))

    mixed = judged(features(3, 6, 0), features(3, 9, 2))
    assert (mixed.state, mixed.images, mixed.reason) == ("no", 15, "")
    assert mixed.nearest["b, normal"] == pytest.approx(0.6, abs=0.2)
    alien = judged(features(3, 15, 3))
    assert (alien.state, alien.apart) == ("yes", True)
    assert "15 images together" in alien.reason
    assert "--accept-new-source" in alien.sentence()
    assert alien.as_json()["p"] == pytest.approx(1 / 400)


def test_too_few_images_or_patients_are_not_checked(reference: SourceReference) -> None:
    points = reference.project(features(3, 12, 3))
    few = new_source.judge(reference, points[:9], [None] * 9)
    assert few.sentence() == (
        "Not checked: whether these images come from a source of training. "
        "That takes at least 10 images; got 9."
    )
    siblings = new_source.judge(reference, points, ["x"] * 5 + [None] * 7)
    assert "different patients; got 8" in siblings.why
    points[:3] = np.nan
    assert new_source.judge(reference, points, [None] * 12).images == 9
    old = new_source.judge(new_source.EARLIER, np.zeros((20, 0), np.float32), [None] * 20)
    assert old.sentence().startswith("Not checked: ")
    assert "an earlier version" in old.sentence()


def test_small_groups_are_taken_together() -> None:
    groups = [("a", "x")] * 20 + [("a", "y")] * 7 + [("a", "z")] * 6 + [("b", "x")] * 3
    names, number = new_source.number_groups(groups)
    assert names == ("a, others", "a, x")
    assert np.bincount(number).tolist() == [13, 23]  # three images alone join the largest
    with pytest.raises(HilumError, match="by 40 images or more; got 5 and 40"):
        new_source.fit_reference(features(1, 40), features(2, 5), [("a", "x")] * 5, ["1"] * 5)


def test_a_reference_is_read_back_as_it_was_written(
    reference: SourceReference, tmp_path: Path
) -> None:
    model_json.write_record(tmp_path, {"format": 1, **new_source.as_record(reference)})
    new_source.save_reference(reference, tmp_path)
    record = json.loads((tmp_path / "model.json").read_text())[new_source.KEY]
    again = new_source.load_reference(tmp_path, record)
    assert isinstance(again, SourceReference)
    asked = features(4, 12, 3)
    assert np.array_equal(again.project(asked), reference.project(asked))
    assert np.array_equal(again.known.points, reference.known.points)
    assert again.groups == reference.groups
    more = [("c", "normal")] * 15
    twice = again
    for seed in (6, 7):  # a source of the same name twice stays two groups
        twice = new_source.extended(twice, features(seed, 15, 3), more, list("abcdefghijklmno"))
    new_source.save_reference(twice, tmp_path)
    third = new_source.load_reference(tmp_path, twice.record())
    assert isinstance(third, SourceReference)
    assert third.groups[3:] == ("c, normal (adapted to)",) * 2
    alien = third.project(features(8, 14, 3))
    assert new_source.judge(third, alien, [None] * 14).state != "yes"  # it is known by now
    new_source.save_reference(reference, tmp_path)
    with pytest.raises(HilumError, match="must be the file that training wrote"):
        new_source.load_reference(tmp_path, {**record, "sha256": "0"})
    assert "an earlier version" in str(new_source.load_reference(tmp_path, None))
    new_source.save_reference("it has too few images", tmp_path)
    assert "has no sources.safetensors" in str(new_source.load_reference(tmp_path, record))
    assert new_source.load_reference(tmp_path, {"why": "few images"}) == "few images"


def test_each_film_of_a_new_source_is_abstained_from_unless_that_is_accepted(
    reference: SourceReference,
) -> None:
    head = NumpyHead(Standardise.none(WIDTH), ((np.eye(2, WIDTH), np.zeros(2)),))
    facts = ModelMetadata(["covid19", "normal"], "unit", "fp32", mirror=False)
    pipeline = preprocess.from_list([{"step": "resize", "side": 8}])
    model = TrainedModel(facts, pipeline, None, head, None, sources=reference)  # type: ignore[arg-type]
    grey = np.zeros((8, 8), np.uint8)
    films = [
        PreparedImage(
            grey,
            QuickCheck(grey, "it is grey" * (i == 0)),
            Print(str(i), np.zeros(32, np.uint8), None),
        )
        for i in range(13)
    ]
    predictions, points = answer.predict_each(model, films, lambda _: (features(5, 13, 3), None))
    assert np.isnan(points[0]).all()  # what a look refuses says nothing of a source
    prints = [film.fingerprint for film in films]
    known = answer.cautions.recognise(model, prints)
    judged = answer.judge_source(
        model, [one.patient for one in prints], [points[:5], points[5:]], known
    )
    assert (judged.state, judged.images) == ("yes", 12)
    refused = [answer.with_source(one, judged, accept=False) for one in predictions]
    assert {one.new_source for one in refused} == {"yes"}
    assert all(one.abstained for one in refused)
    assert [one.reason for one in refused] == ["it is grey", *[judged.reason] * 12]
    accepted = [answer.with_source(one, judged, accept=True) for one in predictions]
    assert [one.abstained for one in accepted] == [True, *[False] * 12]
    assert [one.probabilities for one in accepted] == [one.probabilities for one in predictions]
