"""What a model was built on: digests without names, and what is met again or cannot be checked."""

import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from hilum.data.duplicates import Nearness
from hilum.data.fingerprints import perceptual_hash
from hilum.data.patients import normal
from hilum.inference import seen_before, training_record
from hilum.inference.training_record import BuiltOn, Films, Print
from hilum.types import Grey8, HilumError

NAMES = ("table:P001", "table:17", None, "nih:13")


def picture(seed: int, side: int = 120) -> Grey8:
    """(side, side) of rough random grey levels."""
    rough = np.random.default_rng(seed).integers(0, 256, (12, 12), dtype=np.uint8)
    return np.asarray(cv2.resize(rough, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def films(pictures: list[Grey8], patients: tuple[str | None, ...], source: str | None = None):
    prints = [
        Print(hashlib.sha256(one.tobytes()).hexdigest(), perceptual_hash(one), name)
        for one, name in zip(pictures, patients, strict=True)
    ]
    return replace(Films.printed(prints), sources=(source,) * len(prints))


def built(source: str | None = None, patients: tuple[str | None, ...] = NAMES) -> BuiltOn:
    return training_record.make_record(
        films([picture(i) for i in range(len(patients))], patients, source)
    )


def met(model: BuiltOn | None, patient: str | None, source: str | None = None):
    return seen_before.compare_with_record(model, (), films([picture(900)], (patient,), source))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("table:P001", "dicom:P001 ", True),  # padded to even length (PS3.5 6.2)
        ("table:P001", "dicom:p001\0", True),
        ("table:007", "folder:7", True),  # a spreadsheet drops the zeros
        ("table:7.0", "dicom:007", True),  # and a column with gaps adds a fraction
        ("table:P001", "table:P1", False),
        ("table:7", "table:70", False),
        ("table:0", "table:000", True),
        ("nih:13", "nih:13", True),
        ("nih:13", "table:13", False),  # numbers of a published set are its own
        ("nih:007", "nih:7", False),
        ("table:a:7", "dicom:a:7", True),
        ("table:\uff17", "table:7", True),  # a full-width digit
    ],
)
def test_numbers_of_one_patient(one: str, other: str, same: bool) -> None:
    assert (normal(one) == normal(other)) is same
    found = met(built(patients=(one,)), other)
    assert (bool(found.patients[0]), found.patients_state) == (same, "checked")


def test_the_digest_is_that_of_the_standard() -> None:
    """RFC 7914, section 11: PBKDF2-HMAC-SHA-256 of "passwd" with "salt", one round."""
    slow = training_record.digested(["passwd"], b"salt", 1)["passwd"]
    assert slow.hex() == "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"


def test_a_folder_holds_no_identifier_and_is_read_back(tmp_path: Path) -> None:
    model = built("Hospital A")
    training_record.save_record(model, tmp_path)
    text = "".join(path.read_text() for path in tmp_path.iterdir()) + str(model.record())
    plain = {hashlib.sha256(name.encode()).hexdigest()[:32] for name in ("p001", "P001", "17")}
    assert not any(word in text for word in ("P001", "p001", "Hospital", *plain))
    assert model.record() | {"salt": ""} == {
        "images": 4, "images_without_patient": 1, "patients": 3, "salt": "",
        "digest": "PBKDF2-HMAC-SHA256", "rounds": training_record.ROUNDS,
    }  # fmt: skip
    assert training_record.load_record(tmp_path, model.record()) == model


def test_each_model_has_a_salt_of_its_own_and_the_same_images_the_same() -> None:
    one, again, other = built(), built(), built(patients=NAMES[:2])
    assert one == again
    assert one.salt != other.salt
    assert not {*(one.patients or ())} & {*(other.patients or ())}


def test_copies_are_near_and_other_films_are_not() -> None:
    model = built()
    whole = picture(1)
    ok, data = cv2.imencode(".jpg", whole, (cv2.IMWRITE_JPEG_QUALITY, 60))
    assert ok
    copies = [
        np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8),
        np.asarray(cv2.resize(whole, (90, 90), interpolation=cv2.INTER_AREA), np.uint8),
        np.clip(whole.astype(float) * 0.9 + 10, 0, 255).astype(np.uint8),
        picture(77),
    ]
    found = seen_before.compare_with_record(model, (), films(copies, (None,) * 4))
    assert found.kinds == ["near duplicate"] * 3 + [""]
    assert not found.files.any()
    assert all(0 <= bits <= Nearness().bits for bits in found.near[:3])


def test_the_very_file_comes_before_the_patient() -> None:
    found = seen_before.compare_with_record(
        built(), (), films([picture(1), picture(50)], ("table:17",) * 2)
    )
    assert found.kinds == ["same file", "same patient"]
    assert found.of_what() == "1 used to build it, 1 of patients that it was built on"


def test_flat_images_are_near_to_nothing() -> None:
    flat = [np.full((64, 64), level, np.uint8) for level in (0, 90)]
    model = training_record.make_record(films(flat[:1], ("table:1",)))
    assert seen_before.compare_with_record(model, (), films(flat[1:], ("table:2",))).kinds == [""]


def test_one_number_at_two_hospitals() -> None:
    at_a = built("A", ("table:17",))
    assert met(at_a, "table:17", "A").patients[0]
    assert met(at_a, "table:17", " a").patients[0]
    assert met(at_a, "table:17", None).patients[0]  # unknown: no reason to believe in two people
    assert met(built(None, ("table:17",)), "table:17", "B").patients[0]
    other = met(at_a, "table:17", "B")
    assert not other.met[0]
    assert other.elsewhere[0]
    assert "patient number that also occurs in the training data from another source" in " ".join(
        other.unchecked()
    )


@pytest.mark.parametrize(
    ("model", "patient", "state", "why"),
    [
        (None, "table:1", "not checked", "an earlier version"),
        (replace(built(), patients=None), "table:1", "not checked", "no seen_patients.csv"),
        (built(patients=(None, None)), "table:1", "not checked", "model was built on are unknown"),
        (built(), None, "not checked", "of these images are unknown"),
        (built(), "table:1", "partly", "1 of 4 images that the model was built on are unknown"),
        (built(patients=("table:2",)), "table:1", "checked", ""),
    ],
)
def test_what_cannot_be_known_is_no_pass(
    model: BuiltOn | None, patient: str | None, state: str, why: str
) -> None:
    found = met(model, patient)
    assert found.patients_state == state
    assert why in found.unchecked_patients
    assert bool(found.unchecked_patients) is (state != "checked")
    assert not found.met.any()


def test_films_without_a_record_are_not_checked() -> None:
    for model in (None, replace(built(), films=None)):
        found = met(model, "table:1")
        assert (found.files_state, found.films_state) == ("not checked", "not checked")
        assert "Not checked for files" in found.unchecked()[0]
    known = seen_before.compare_with_record(None, ("0" * 64,), films([picture(3)], (None,)))
    assert (known.files_state, known.films_state) == ("checked", "not checked")
    assert "Not checked for near duplicates" in known.unchecked()[0]


def test_a_damaged_record_is_a_sentence_and_a_removed_one_is_unknown(tmp_path: Path) -> None:
    model = built()
    training_record.save_record(model, tmp_path)
    patients = tmp_path / training_record.PATIENTS
    whole = patients.read_text()
    for text in ("patient,at_source\n", whole + "x\n", whole[:-40]):
        patients.write_text(text)
        with pytest.raises(HilumError, match="restore the folder"):
            training_record.load_record(tmp_path, model.record())
    patients.unlink()
    found = training_record.load_record(tmp_path, model.record())
    assert found is not None
    assert found.patients is None
    assert training_record.load_record(tmp_path, None) is None


@pytest.mark.parametrize("patients", [(None,) * 9, (*NAMES[:2], None, *NAMES[:2], *[None] * 4)])
def test_images_that_come_some_at_a_time_are_recognised_as_together(
    patients: tuple[str | None, ...],
) -> None:
    model, taken = built("Hospital A"), films([picture(i) for i in range(9)], patients, "B")
    together = seen_before.compare_with_record(model, taken.sha256[8:], taken)
    comparison = seen_before.RecordComparison(model, taken.sha256[8:])
    for rows in (slice(0, 0), slice(0, 3), slice(3, 4), slice(4, 9)):
        comparison.add(
            Films(taken.sha256[rows], taken.hashes[rows], taken.patients[rows], taken.sources[rows])
        )
    apart = comparison.outcome()
    assert apart.kinds == together.kinds
    assert set(together.kinds) == {"same file", ""}
    assert together.elsewhere.any() == any(patients)
    assert apart.unchecked() == together.unchecked()
    assert apart.patients_state == together.patients_state
    np.testing.assert_array_equal(apart.near, together.near)
    np.testing.assert_array_equal(apart.elsewhere, together.elsewhere)
