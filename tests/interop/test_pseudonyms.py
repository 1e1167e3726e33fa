"""Tables with codes: nothing of a person or a file in them, every score still there."""

import json
import os
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from hilum.cli.train import After
from hilum.interop import Pseudonyms, write_pseudonymous
from hilum.types import HilumError, MissingError

PERSON = "Mueller-Anna"


def planted(out: Path, folder: Path) -> list[str]:
    """A copy of a run whose images and patients bear marked names; what no file may hold."""
    shutil.copytree(out, folder, ignore=shutil.ignore_patterns("figures", "model", "data"))
    table = pd.read_parquet(folder / "manifest.parquet")
    number = {name: i for i, name in enumerate(table["sample_id"])}
    person = {name: i for i, name in enumerate(table["patient_id"].unique())}

    def marked(rows: pd.DataFrame) -> pd.DataFrame:
        at = rows["sample_id"].map(number)
        changed = rows.assign(sample_id=[f"dicom/{PERSON}{i}/IMG{i}.dcm" for i in at])
        if "path" in rows:
            changed["path"] = [f"/export/{PERSON}{i}/IMG{i}.dcm" for i in at]
        if "patient_id" in rows:
            changed["patient_id"] = [f"MRN{person[name]:05d}" for name in rows["patient_id"]]
        return changed

    table.pipe(marked).assign(sha256="feed" * 16).to_parquet(folder / "manifest.parquet")
    for name in ("predictions.csv", "splits.csv"):
        path = folder / name
        marked(pd.read_csv(path)).to_csv(path, index=False)
    results = json.loads((folder / "results.json").read_text())
    results["audits"][0]["sentence"] = "MRN00001 has IMG3.dcm and MRN00012, not MRN0001."
    results["limits"] = [f"/export/{PERSON}7/IMG7.dcm is dark"]
    results["environment"]["command"] = f"hilum train /export/{PERSON}1"
    (folder / "results.json").write_text(json.dumps(results))
    return [PERSON, "/export", ".dcm", "feedfeed", *(f"MRN{i:05d}" for i in range(len(person)))]


def test_no_name_number_path_or_digest_is_left(out: Path, tmp_path: Path) -> None:
    names = planted(out, tmp_path / "run")
    assert len(names) > 20
    codes = Pseudonyms.of(tmp_path / "key")
    folder = write_pseudonymous(tmp_path / "run", codes)
    assert {path.name for path in folder.iterdir()} == {
        *("predictions.csv", "splits.csv", "history.csv", "images.csv", "results.json"),
    }
    for path in folder.iterdir():
        text = path.read_text()
        assert [name for name in names if name in text] == [], path.name
        assert not re.search(r"IMG\d", text), path.name
    sentence = json.loads((folder / "results.json").read_text())["audits"][0]["sentence"]
    patients = [codes.code("patient", f"MRN{i:05d}") for i in (1, 12)]
    image = codes.code("image", f"dicom/{PERSON}3/IMG3.dcm")
    assert sentence == f"{patients[0]} has {image} and {patients[1]}, not MRN0001."


def test_every_score_and_every_patients_images_stay_together(out: Path, tmp_path: Path) -> None:
    planted(out, tmp_path / "run")
    codes = Pseudonyms.of(tmp_path / "key")
    folder = write_pseudonymous(tmp_path / "run", codes)
    before = pd.read_csv(tmp_path / "run" / "predictions.csv")
    after = pd.read_csv(folder / "predictions.csv")
    before["sample_id"] = [codes.code("image", name) for name in before["sample_id"]]
    both = before.merge(after, on=["cell", "fold", "seed", "sample_id"], suffixes=("", "_coded"))
    assert len(both) == len(before) == len(after)
    pd.testing.assert_series_equal(both["p_covid19"], both["p_covid19_coded"], check_names=False)
    pairs = both[["patient_id", "patient_id_coded"]].drop_duplicates()
    assert len(pairs) == before["patient_id"].nunique() == after["patient_id"].nunique()
    assert after["sample_id"].is_monotonic_increasing  # the order of the files is no hint
    stored = [json.loads((place / "results.json").read_text()) for place in (out, folder)]
    assert stored[0]["scores"] == stored[1]["scores"]
    splits = pd.read_csv(folder / "splits.csv")
    assert set(after["sample_id"]) <= set(splits["sample_id"])


def test_a_key_gives_the_same_codes_in_every_run_and_another_key_gives_others(
    tmp_path: Path,
) -> None:
    first, again = Pseudonyms.of(tmp_path / "a"), Pseudonyms.of(tmp_path / "a")
    other = Pseudonyms.of(tmp_path / "b")
    assert first.code("patient", "7") == again.code("patient", "7")
    assert first.code("patient", "7") != other.code("patient", "7")
    assert first.code("patient", "7") != first.code("image", "7")
    if os.name != "nt":
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_a_key_that_is_none_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    with pytest.raises(HilumError, match="64 hexadecimal digits"):
        After.of(None, tmp_path / "key")
    with pytest.raises(HilumError, match="that can be read or made"):
        After.of(None, tmp_path / "absent" / "key")
    with pytest.raises(MissingError):
        write_pseudonymous(tmp_path, Pseudonyms.of(tmp_path / "new"))


def test_the_code_is_that_of_rfc_2104(tmp_path: Path) -> None:
    """HMAC-SHA256 by its definition: H(key ^ opad, H(key ^ ipad, text))."""
    from hashlib import sha256

    key = bytes(range(32))
    (tmp_path / "key").write_text(key.hex())
    padded = key.ljust(64, b"\0")
    inner = sha256(bytes(b ^ 0x36 for b in padded) + b"patient\0A1").digest()
    want = sha256(bytes(b ^ 0x5C for b in padded) + inner).hexdigest()[:16]
    assert Pseudonyms.of(tmp_path / "key").code("patient", "A1") == f"patient-{want}"
