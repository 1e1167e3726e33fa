"""Every dataset keeps the contract, and none of them goes unvisited."""

import dataclasses
import re
from collections import Counter
from pathlib import Path

import pytest

from hilum.data import manifest
from hilum.datasets.base import DatasetCard
from hilum.datasets.registry import DATASETS
from hilum.types import CLASS_NAMES, LeftOut, MissingError
from published_layouts import LAYOUTS

HOW_MANY = 15
CARDS = [row.card for row in DATASETS.values()]


def count(item: LeftOut) -> int:
    return int(re.match(r"[\d,]+", item.what)[0].replace(",", ""))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("published")
    for name, layout in LAYOUTS.items():
        layout.write(root / DATASETS[name].card.folder)
    return {name: root / DATASETS[name].card.folder for name in LAYOUTS}


def test_datasets_and_layouts_are_the_same_fifteen():
    assert list(DATASETS) == list(LAYOUTS)
    assert len(DATASETS) == HOW_MANY
    assert [row.card.name for row in DATASETS.values()] == list(DATASETS)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_card_says_what_a_user_needs(card: DatasetCard):
    for name in ("title", "folder", "licence", "citation", "access", "modality", "population"):
        assert getattr(card, name).strip(), f"{card.name} has no {name}"
    assert card.access.endswith(".")
    assert re.search(r"\b(19|20)\d\d\b", card.citation)
    assert card.homepage.startswith("https://")
    assert card.label_map
    assert set(card.label_map.values()) <= set(CLASS_NAMES)
    assert set(card.mixes) <= set(DATASETS) - {card.name}
    assert card.known_shortcuts
    assert dataclasses.is_dataclass(card)
    for item in card.download:
        assert item.url.startswith("https://")
        assert item.filename.endswith(".zip")
        assert item.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", item.sha256)


FIELDS = {"behind the heart too", "beside the heart", "not stated"}


@pytest.mark.parametrize("name", DATASETS)
def test_a_card_states_the_convention_of_its_masks_if_its_reader_gives_any(
    name: str, written: dict[str, Path]
):
    """Whether there are masks is asked of what the reader reads, not of the card."""
    table, convention = DATASETS[name].read(written[name]).table, DATASETS[name].card.convention
    assert (convention is not None) == bool(table["mask_path"].notna().any())
    if convention is not None:
        assert convention.field in FIELDS
        assert convention.source
        assert str(convention) == f"{convention.field} ({convention.source})"


def test_three_sets_have_masks():
    stated = {card.name: card.convention.field for card in CARDS if card.convention}
    assert stated == {
        "radiography": "not stated",
        "montgomery_shenzhen": "beside the heart",
        "v7_masks": "behind the heart too",
    }


def test_folders_of_cards_are_told_apart():
    names = [name for card in CARDS for name in card.folders]
    assert len({name.lower() for name in names}) == len(names)


def test_each_layout_is_recognised_by_its_own_reader_alone(written: dict[str, Path]):
    found = {
        name: [name for name, row in DATASETS.items() if row.recognises(folder)]
        for name, folder in written.items()
    }
    assert found == {name: [name] for name in LAYOUTS}


@pytest.mark.parametrize("name", DATASETS)
def test_nothing_is_recognised_where_nothing_is(name: str, tmp_path: Path):
    assert not DATASETS[name].recognises(tmp_path)
    assert not DATASETS[name].recognises(tmp_path / "absent")


@pytest.mark.parametrize("name", DATASETS)
def test_reader_finds_what_was_written(name: str, written: dict[str, Path]):
    read = DATASETS[name].read(written[name])
    manifest.require_manifest(read.table)
    expected = LAYOUTS[name]
    assert read.table["label"].value_counts().to_dict() == dict(expected.labels)
    assert read.table["patient_id"].nunique() == expected.patients
    counts = Counter()
    for item in read.left_out:
        counts[item.reason] += count(item)
    assert dict(counts) == dict(expected.left_out)


@pytest.mark.parametrize("name", DATASETS)
def test_reader_fills_the_columns(name: str, written: dict[str, Path]):
    read, card = DATASETS[name].read(written[name]), DATASETS[name].card
    table = read.table
    assert (table["dataset"] == name).all()
    assert set(table["label"]) <= set(card.label_map.values())
    assert table["modality"].isin(["X-ray", "CT"]).all()
    for column in ("sample_id", "source", "finding", "licence"):
        assert table[column].notna().all(), column
    assert table["sample_id"].str.startswith(f"{name}/").all()
    assert all(Path(path).is_file() for path in table["path"])
    assert all(Path(path).is_file() for path in table["mask_path"].dropna())
    assert table["official_part"].dropna().isin(["train", "validation", "test"]).all()
    assert read.notes
    if not card.patient_ids:
        assert any("patient" in note for note in read.notes)


@pytest.mark.parametrize("name", DATASETS)
def test_no_image_is_passed_over_in_silence(name: str, written: dict[str, Path]):
    read = DATASETS[name].read(written[name])
    used = {*read.table["path"], *read.table["mask_path"].dropna()}
    told = " ".join(item.what for item in read.left_out)
    images = [
        path
        for path in written[name].rglob("*")
        if path.suffix in (".png", ".jpg", ".jpeg") and "__MACOSX" not in path.parts
    ]
    silent = [path.name for path in images if str(path) not in used and path.name not in told]
    assert len(images) >= 3
    assert silent == []


@pytest.mark.parametrize("name", DATASETS)
def test_a_layout_without_images_says_where_to_get_them(name: str, tmp_path: Path):
    LAYOUTS[name].write(tmp_path)
    for path in tmp_path.rglob("*"):
        if path.suffix in (".png", ".jpg", ".jpeg"):
            path.unlink()
    with pytest.raises(MissingError) as caught:
        DATASETS[name].read(tmp_path)
    assert DATASETS[name].card.advice in str(caught.value)
    assert str(tmp_path.resolve()) in str(caught.value)
