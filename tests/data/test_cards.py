"""Facts on the cards that studies and audits rest on."""

import subprocess
import sys
from dataclasses import FrozenInstanceError

import pytest

from hilum.datasets.registry import DATASETS

CARDS = {name: row.card for name, row in DATASETS.items()}


def test_kermany_alone_is_of_children_only():
    assert [name for name, card in CARDS.items() if card.single_age == "children"] == ["kermany"]


def test_sets_without_patients_are_known():
    without = {name for name, card in CARDS.items() if not card.patient_ids}
    assert without == {
        "covid_xray_5k",
        "radiography",
        "covid_cxnet",
        "sarscov2_ct",
        "mendeley",
        "montgomery_shenzhen",
    }


def test_mixtures_name_what_they_hold():
    assert {"cohen", "figure1", "actualmed", "nih"} <= set(CARDS["covidx"].mixes)
    assert {"cohen", "kermany"} <= set(CARDS["radiography"].mixes)
    assert set(CARDS["covid_xray_5k"].mixes) == {"cohen", "chexpert"}
    assert CARDS["v7_masks"].mixes == ("cohen",)
    assert CARDS["kermany"].mixes == ()


def test_folders_are_those_of_the_publishers():
    assert CARDS["cohen"].folder == "covid-chestxray-dataset"
    assert CARDS["kermany"].folder == "chest_xray"
    assert CARDS["nih"].folder == "nih-chestxray14"
    assert CARDS["sarscov2_ct"].folder == "sarscov2-ctscan-dataset"
    assert CARDS["covid_ct"].folder == "COVID-CT"
    assert CARDS["v7_masks"].folder == "v7-lung-masks"


def test_github_archives_unpack_to_a_known_folder():
    for name in ("cohen", "covid_cxnet", "figure1", "actualmed", "covid_ct"):
        card = CARDS[name]
        (archive,) = card.download
        assert archive.url.startswith(card.homepage + "/archive/")
        assert archive.filename.removesuffix(".zip") in card.other_folders


def test_sets_behind_an_account_have_no_download():
    for name in ("chexpert", "covidx", "radiography", "sarscov2_ct", "nih"):
        assert CARDS[name].download == ()


def test_cards_are_frozen():
    with pytest.raises(FrozenInstanceError):
        CARDS["cohen"].licence = "none"


def test_cards_and_readers_import_nothing_heavy():
    code = (
        "import sys, hilum.datasets.registry;"
        "print([m for m in ('torch', 'sklearn', 'timm', 'openvino', 'matplotlib')"
        " if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
