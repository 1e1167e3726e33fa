"""Labels that differ become different classes, and what is merged is said."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum.datasets import class_folders, table, vocabulary
from hilum.types import HilumError, Manifest


def draw(home: Path, *names: str) -> Path:
    for i, name in enumerate(names):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6, 7), i % 251, np.uint8)).save(path)
    return home


def read_table(home: Path, labels: list[str]) -> Manifest:
    """A table of three images for each of `labels`."""
    rows = [(f"{i}.png", label) for i, label in enumerate(labels * 3)]
    draw(home, *(name for name, _ in rows))
    lines = ["image,label", *(f'{name},"{label}"' for name, label in rows)]
    (home / "t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table.read_image_table(home / "t.csv")


def read_folders(home: Path, labels: list[str]) -> Manifest:
    return class_folders.read_class_folders(
        draw(home, *(f"{label}/{i}.png" for label in labels for i in range(3)))
    )


PAIRS = [
    ("-1.0", "1.0"), ("-1", "1"), ("COVID+", "COVID-"), ("COVID (+)", "COVID (-)"),
    ("<50%", ">50%"), ("≥2", "<2"), ("≥2", "≤2"), ("T1", "T-1"), ("T -1", "T 1"),
    ("+", "++"), ("+", "-"),
    ("(A)", "A"), ("A", "A+"), ("covid", "covid?"), ("covid", "covid."), ("non-covid", "covid"),
    ("no pneumonia", "pneumonia"), ("não", "nao"), ("कोविड", "कवड"), ("норма", "пневмония"),
    ("肺炎", "正常"), ("50-60", "<50-60"), ("=1", "1"), ("±", "+"), ("1.0", "10"), ("A*", "A#"),
    ("PCR-, CT+", "PCR+, CT-"), ("−1", "1"), ("grade 3+4", "grade 4+3"), ("1/2", "2/1"),
]  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
@pytest.mark.parametrize("read", [read_table, read_folders])
def test_labels_that_differ_are_two_classes(
    tmp_path: Path, read: Callable[[Path, list[str]], Manifest], pair: tuple[str, str]
) -> None:
    if read is read_folders and any("/" in label for label in pair):
        pytest.skip("no folder can be called that")
    found = read(tmp_path, list(pair)).table
    assert found.groupby("finding")["label"].unique().map(len).eq(1).all()
    assert found["label"].value_counts().tolist() == [3, 3]


@pytest.mark.parametrize("label", sorted({label for pair in PAIRS for label in pair}))
def test_names_of_classes_are_safe_as_columns_folders_and_keys(label: str) -> None:
    name = vocabulary.class_name(label)
    assert name
    assert not set(name) & set(" /\\,;:|.\"'<>?*+=@%&()[]{}\t\n-")


def test_a_class_never_has_the_name_of_an_average() -> None:
    assert not {vocabulary.class_name(label) for label in ("Overall", "macro")} & {
        "overall",
        "macro",
    }


@pytest.mark.parametrize("pair", [("T-1", "T 1"), ("Tb / active", "Tb active"), ("A-B", "A.B")])
def test_labels_that_would_meet_by_chance_are_refused(
    tmp_path: Path, pair: tuple[str, str]
) -> None:
    with pytest.raises(HilumError, match="must become different classes") as caught:
        read_table(tmp_path, [*pair, "other"])
    assert all(repr(label) in str(caught.value) for label in pair)


@pytest.mark.parametrize("pair", [("Mass", "mass"), ("lung opacity", "Lung_Opacity")])
def test_capitals_and_spaces_make_no_class_and_that_is_said(
    tmp_path: Path, pair: tuple[str, str]
) -> None:
    found = read_table(tmp_path, [*pair, "other"])
    assert found.table["label"].nunique() == 2
    assert any("count as one class" in note and repr(pair[0]) in note for note in found.notes)


def test_synonyms_are_said(tmp_path: Path) -> None:
    found = read_folders(tmp_path, ["covid", "no_finding"])
    assert set(found.table["label"]) == {"covid19", "normal"}
    assert "Label 'covid' is read as class covid19." in found.notes
    assert "Label 'no_finding' is read as class normal." in found.notes
    assert any("'no_finding' is read as normal but says less" in note for note in found.notes)


def test_no_finding_and_normal_are_not_the_same(tmp_path: Path) -> None:
    with pytest.raises(HilumError, match="'No finding' and 'Normal', and both would be normal"):
        read_folders(tmp_path, ["No finding", "Normal", "Mass"])


def test_plain_names_need_no_note(tmp_path: Path) -> None:
    found = read_folders(tmp_path, ["NORMAL", "Lung_Opacity", "COVID-19"])
    assert not any("Label" in note or "count as" in note for note in found.notes)


@pytest.mark.parametrize("between", ["|", ";", ", ", "/", " + ", " and ", " & "])
def test_several_findings_are_a_set_in_any_order(tmp_path: Path, between: str) -> None:
    orders = [between.join(order) for order in itertools.permutations(["Nodule", "Mass", "Edema"])]
    found = read_table(tmp_path, [*orders, "Nodule", "Fibrosis"])
    counts = found.table["label"].value_counts().to_dict()
    assert counts == {"edema_and_mass_and_nodule": 18, "nodule": 3, "fibrosis": 3}
    assert any("several findings" in note and "--label-column" in note for note in found.notes)


def test_one_order_of_several_findings_is_said_too(tmp_path: Path) -> None:
    found = read_table(tmp_path, ["Nodule|Mass", "Nodule", "Mass|", "Mass|Mass"])
    assert set(found.table["label"]) == {"mass_and_nodule", "nodule", "mass"}
    assert any(note.startswith("One label names several findings") for note in found.notes)


def test_a_comma_alone_makes_no_set(tmp_path: Path) -> None:
    found = read_table(tmp_path, ["Pneumonia, viral", "Pneumonia", "Tb, old"])
    assert set(found.table["label"]) == {"viral_pneumonia", "pneumonia", "tb_old"}
    assert not any("several findings" in note for note in found.notes)


def test_the_page_on_labels_lists_every_synonym() -> None:
    page = Path(__file__).parents[2] / "docs" / "labels.md"
    listed = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        name, _, words = line.strip("| ").partition("` | ")
        if name.strip("`") in vocabulary.CLASSES.values() and words and "`" not in words:
            listed |= {vocabulary.plain_term(word): name.strip("`") for word in words.split(",")}
    obvious = {
        word: name
        for word, name in vocabulary.CLASSES.items()
        if word == vocabulary.plain_term(name)
    }
    assert listed == {w: n for w, n in vocabulary.CLASSES.items() if w not in obvious}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("['pneumonia', 'effusion']", "['effusion', 'pneumonia']"),
        ("['pneumonia' 'effusion']", "['effusion','pneumonia', '']"),
    ],
)
def test_a_list_in_a_cell_is_its_findings(tmp_path: Path, one: str, other: str) -> None:
    """PadChest's column Labels, as Python and NumPy write a list."""
    found = read_table(tmp_path, [one, other, "['normal']", "normal"])
    assert dict(found.table["label"].value_counts()) == {"effusion_and_pneumonia": 6, "normal": 6}
    assert any("several findings of one image" in note for note in found.notes)


def test_lists_as_json_writes_them(tmp_path: Path) -> None:
    found = read_table(tmp_path, ['[""a""]', '[""b""]', '[""No Finding""]'])
    assert set(found.table["label"]) == {"a", "b", "normal"}
    assert any("but says less" in note for note in found.notes)


def test_brackets_without_quotes_are_no_list(tmp_path: Path) -> None:
    found = read_table(tmp_path, ["[0, 1)", "[1, 2)"])
    assert found.table["label"].nunique() == 2
