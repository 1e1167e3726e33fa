"""What the audits leave behind can be used: look-alikes are a table that keeps them together."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hilum import datasets
from hilum.audits import Evidence
from hilum.data import splits
from hilum.data.splits import SplitFractions
from hilum.experiment import audit_outputs

CLUSTERS = np.array([0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9])


@pytest.fixture
def nameless(tmp_path: Path) -> Evidence:
    """Twelve slices of nobody, two pairs of which look alike."""
    for i in range(12):
        name = tmp_path / "set" / ("covid19" if i < 6 else "normal") / f"{i:02}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((40, 40), 20 * i, np.uint8)).save(name)
    found = datasets.open_path(tmp_path / "set").table.assign(modality="CT")
    about = Evidence(["covid19", "normal"], found, pd.DataFrame())
    about.shared["clusters"] = CLUSTERS
    return about


def test_look_alikes_are_a_table_to_train_on(nameless: Evidence, tmp_path: Path) -> None:
    audit_outputs.write_audit_artefacts(tmp_path, nameless)
    again = datasets.open_path(tmp_path / "look_alikes.csv")
    assert list(again.table["label"]) == list(nameless.manifest["label"])
    assert set(again.table["modality"]) == {"CT"}  # or lungs would be looked for as on films
    assert (pd.factorize(again.table["patient_id"])[0] == pd.factorize(CLUSTERS)[0]).all()
    for seed in range(5):
        split = splits.holdout(again, SplitFractions(test=0.3, validation=0.2), seed)
        part = split.table.set_index("sample_id")["part"].reindex(again.table["sample_id"])
        assert part.iloc[0] == part.iloc[1]
        assert part.iloc[2] == part.iloc[3]


def test_where_patients_are_known_no_table_is_left(nameless: Evidence, tmp_path: Path) -> None:
    audit_outputs.write_audit_artefacts(tmp_path, nameless)
    nameless.manifest["patient_id"] = [f"p{i}" for i in range(12)]
    audit_outputs.write_audit_artefacts(tmp_path, nameless)
    assert not (tmp_path / "look_alikes.csv").exists()
