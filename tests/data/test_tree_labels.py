"""DICOM trees as a PACS exports them: labels from a table anywhere, sources from the headers."""

from pathlib import Path

import pandas as pd
import pytest
from exported import Export, drawn, export, save
from PIL import Image

from hilum import datasets, recipes
from hilum.datasets import Columns, TreeOptions, sources
from hilum.experiment import dataset
from hilum.types import HilumError, Manifest

FILMS = 44
LABELS = ["effusion", "no_effusion"] * (FILMS // 2)


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """44 films of 43 patients, two hospitals, three devices. Not to be changed."""
    houses = [f"St. {'AB'[i % 3 > 0]} Hospital" for i in range(FILMS)]
    return export(
        tmp_path_factory.mktemp("archive") / "EXPORT", drawn(FILMS), LABELS,
        InstitutionName=houses, Manufacturer="Drawn Ltd",
        StationName=[f"ROOM{i % 3}" for i in range(FILMS)],
    )  # fmt: skip


def opened(pacs: Export, csv: Path, **columns: str) -> Manifest:
    return datasets.open_path(pacs.home, Columns(**columns), None, TreeOptions(str(csv)))


def labels_of(found: Manifest, home: Path) -> dict[str, str]:
    below = [Path(path).relative_to(home).as_posix() for path in found.table["path"]]
    return dict(zip(below, found.table["label"], strict=True))


def truth(pacs: Export) -> dict[str, str]:
    return dict(zip(pacs.truth["path"], pacs.truth["label"], strict=True))


@pytest.mark.parametrize("key", ["path", "SOPInstanceUID", "StudyInstanceUID", "AccessionNumber"])
def test_a_table_from_anywhere_labels_the_tree(pacs: Export, tmp_path: Path, key: str) -> None:
    found = opened(pacs, pacs.csv(tmp_path / "far/off/befunde.csv", key, "label"))
    assert labels_of(found, pacs.home) == truth(pacs)
    assert found.table["patient_id"].nunique() == FILMS - 1
    assert set(found.table["dataset"]) == {"dicom"}
    assert found.left_out == ()
    (note,) = [note for note in found.notes if "labels" in note]
    assert note.startswith(f"befunde.csv labels 44 of 44 images, by its column '{key}'.")


def test_labels_by_patient(pacs: Export, tmp_path: Path) -> None:
    """Each of the 43 has one label; the first has two films, whose true labels differ."""
    table = pacs.csv(tmp_path / "l.csv", "PatientID", "label", rows=range(FILMS - 1))
    found = labels_of(opened(pacs, table), pacs.home)
    wanted = truth(pacs)
    last = pacs.truth["path"].iloc[-1]
    assert found.pop(last) == LABELS[0]
    assert wanted.pop(last) == LABELS[-1]
    assert found == wanted


@pytest.mark.parametrize("base", ["tree", "above", "beside", "absolute", "windows", "elsewhere"])
def test_paths_of_the_table(pacs: Export, tmp_path: Path, base: str) -> None:
    beside = pacs.home.parent / "reports"
    texts = {
        "tree": pacs.truth["path"],
        "above": f"{pacs.home.name}/" + pacs.truth["path"],
        "beside": f"../{pacs.home.name}/" + pacs.truth["path"],
        "absolute": f"{pacs.home}/" + pacs.truth["path"],
        "windows": pacs.truth["path"].str.replace("/", "\\"),
        "elsewhere": "./" + pacs.truth["path"],
    }
    given = Export(pacs.home, pacs.truth.assign(path=texts[base]))
    found = opened(pacs, given.csv(beside / f"{base}.csv", "path", "label"))
    assert labels_of(found, pacs.home) == truth(pacs)


def test_a_name_that_several_files_have_means_none_of_them(pacs: Export, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,label\nIMG00001,a\n")
    with pytest.raises(HilumError, match=r"got 1 lines, whose 'file' \(path\) no image of the 44"):
        opened(pacs, table)


def test_names_of_files_that_are_no_dicom(tmp_path: Path) -> None:
    for name in ("x/a.png", "y/b.png", "y/c.png"):
        (tmp_path / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), len(name)).save(tmp_path / "t" / name)
    (tmp_path / "l.csv").write_text("image,label\na.png,p\nb,q\nold/export/c.png,q\n")
    found = datasets.open_path(tmp_path / "t", options=TreeOptions(str(tmp_path / "l.csv")))
    assert labels_of(found, tmp_path / "t") == {"x/a.png": "p", "y/b.png": "q", "y/c.png": "q"}
    assert set(found.table["dataset"]) == {"folder"}


def test_flags_of_a_table_of_labels_are_a_split(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / "t").mkdir(exist_ok=True)
        Image.new("L", (8, 8), ord(name[0])).save(tmp_path / "t" / name)
    (tmp_path / "l.csv").write_text("image,label,is_test\na.png,p,0\nb.png,q,0\nc.png,q,1\n")
    found = datasets.open_path(tmp_path / "t", options=TreeOptions(str(tmp_path / "l.csv")))
    parts = {
        Path(path).name: part
        for path, part in zip(found.table["path"], found.table["official_part"], strict=True)
    }
    assert parts == {"a.png": "train", "b.png": "train", "c.png": "test"}
    assert any("The split is read from 'is_test'" in note for note in found.notes)


def test_files_named_by_their_uid(tmp_path: Path) -> None:
    """The end of a UID is no suffix: 1.2.34 is neither 1.2 nor 1.2.3."""
    for i, name in enumerate(("1.2.34", "1.2.35", "1.3.7")):
        save(tmp_path / "t" / name, drawn(3)[i], PatientID=f"P{i}", SOPInstanceUID=f"1.9.{i}")
    (tmp_path / "l.csv").write_text("image_id,label\n1.2.34,a\n1.2.35,b\n1.3,b\n")
    found = datasets.open_path(tmp_path / "t", options=TreeOptions(str(tmp_path / "l.csv")))
    assert labels_of(found, tmp_path / "t") == {"1.2.34": "a", "1.2.35": "b"}


def test_what_has_no_partner_is_counted_and_said(pacs: Export, tmp_path: Path) -> None:
    table = pacs.csv(tmp_path / "l.csv", "AccessionNumber", "label", rows=range(40))
    with table.open("a") as file:
        file.write("B1,effusion\nB2,effusion\n,effusion\nB4,\nB5,effusion\n")
    found = opened(pacs, table)
    assert len(found.table) == 40
    without = [item for item in found.left_out if item.reason == "no label in l.csv"]
    assert [item.what for item in without] == [
        str(pacs.home / path) for path in sorted(pacs.truth["path"][40:])
    ]
    (lines,) = [item for item in found.left_out if "has its key" in item.reason]
    assert (lines.what, lines.count) == ("5 lines of l.csv (42, 43, 44, ...)", 5)
    assert found.notes[0] == (
        "l.csv labels 40 of 44 images, by its column 'AccessionNumber'; 4 images have no label, "
        "5 of its lines name no image."
    )


def test_the_surest_key_is_followed_and_no_image_labelled_by_another(
    pacs: Export, tmp_path: Path
) -> None:
    """The first patient has two films; only one of them is listed, by its UID and patient."""
    rows = range(FILMS - 1)
    table = pacs.csv(tmp_path / "l.csv", "PatientID", "SOPInstanceUID", "label", rows=rows)
    found = opened(pacs, table)
    assert len(found.table) == FILMS - 1
    assert "by its column 'SOPInstanceUID'" in found.notes[0]


def test_keys_that_mean_different_images_are_said(pacs: Export, tmp_path: Path) -> None:
    torn = pacs.truth.assign(StudyInstanceUID=pacs.truth["StudyInstanceUID"].iloc[::-1].tolist())
    table = Export(pacs.home, torn).csv(tmp_path / "l.csv", "path", "StudyInstanceUID", "label")
    notes = opened(pacs, table).notes
    assert (
        "The table's columns 'path' and 'StudyInstanceUID' mean different images for 44 of 44; the "
        "first was followed: check the table." in notes
    )


def test_one_patient_with_two_labels(pacs: Export, tmp_path: Path) -> None:
    table = pacs.csv(tmp_path / "l.csv", "PatientID", "label")
    with pytest.raises(
        HilumError, match=r"one label to each PatientID; got several for '000001' \(lines 2, 45\)"
    ):
        opened(pacs, table)


def test_leading_zeros_that_a_spreadsheet_has_dropped(pacs: Export, tmp_path: Path) -> None:
    bare = pacs.truth.assign(PatientID=pacs.truth["PatientID"].str.lstrip("0"))
    rows = range(FILMS - 1)
    table = Export(pacs.home, bare).csv(tmp_path / "l.csv", "PatientID", "label", rows=rows)
    found = opened(pacs, table)
    assert len(found.table) == FILMS
    assert "'PatientID', leading zeros apart" in found.notes[0]


def test_zeros_count_where_they_tell_patients_apart(tmp_path: Path) -> None:
    home = tmp_path / "t"
    for i, patient in enumerate(("01", "001", "2", "3")):
        save(home / f"{i}.dcm", drawn(4)[i], PatientID=patient, SOPInstanceUID=f"1.2.{i}")
    (tmp_path / "l.csv").write_text("PatientID,label\n1,a\n02,a\n03,b\n")
    found = datasets.open_path(home, options=TreeOptions(str(tmp_path / "l.csv")))
    assert labels_of(found, home) == {"2.dcm": "a", "3.dcm": "b"}


def test_columns_by_option(pacs: Export, tmp_path: Path) -> None:
    names = {"PatientID": "Person", "label": "Befund"}
    table = pacs.truth.iloc[:-1].rename(columns=names)[["Person", "Befund"]]
    table.to_csv(tmp_path / "l.csv", index=False)
    found = opened(pacs, tmp_path / "l.csv", label="befund", patient_id="person")
    assert len(found.table) == FILMS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("station,label\nx,a\n", "by path, SOPInstanceUID, StudyInstanceUID, AccessionNumber or"),
        ("AccessionNumber,weight\nA7000,70\n", "must have a column for the label"),
        ("AccessionNumber,label\nZ1,a\nZ2,b\n", "got 2 lines, whose 'AccessionNumber' no image"),
        (None, "must be a CSV that names images and their labels; got .*, no such file"),
    ],
)
def test_tables_that_label_nothing(
    pacs: Export, tmp_path: Path, text: str | None, words: str
) -> None:
    if text is not None:
        (tmp_path / "l.csv").write_text(text)
    with pytest.raises(HilumError, match=words):
        opened(pacs, tmp_path / "l.csv")


def test_labels_go_with_a_folder(pacs: Export, tmp_path: Path) -> None:
    table = pacs.csv(tmp_path / "l.csv", "path", "label")
    with pytest.raises(HilumError, match="--labels goes with a folder of images"):
        datasets.open_path(table, options=TreeOptions(str(table)))


# a tree by patient is no set of classes


@pytest.mark.parametrize(
    ("folders", "why"),
    [
        ("{patient}/s/i", "the name of 43 is the PatientID of its images"),
        ("Name_{patient}/i{i}", "the name of 43 is the PatientID of its images"),
        ("case{number:03d}/i{i}", "each holds images of one patient"),
        ("train/{patient}/i{i}", "the name of 43 is the PatientID of its images"),
    ],
)
def test_folders_that_look_like_patients(
    pacs: Export, tmp_path: Path, folders: str, why: str
) -> None:
    for i, row in pacs.truth.iterrows():
        patient = row["PatientID"]
        place = tmp_path / folders.format(patient=patient, i=i, number=int(patient))
        place.parent.mkdir(parents=True, exist_ok=True)
        (place.parent / f"{place.name}_{i}.dcm").symlink_to(pacs.home / row["path"])
    with pytest.raises(HilumError) as caught:
        datasets.open_path(tmp_path)
    assert "43 folders with 44 images, and the folders look like patients" in str(caught.value)
    assert why in str(caught.value)
    assert "give labels with --labels CSV" in str(caught.value)


@pytest.mark.parametrize("patients", [None, ""], ids=["absent", "empty"])
def test_folders_of_studies_without_a_patient(tmp_path: Path, patients: str | None) -> None:
    for i, film in enumerate(drawn(12)):
        save(
            tmp_path / f"x{i // 2}/{i}.dcm", film, SOPInstanceUID=f"1.2.{i}", PatientID=patients,
            StudyInstanceUID=f"1.3.{i // 2}",
        )  # fmt: skip
    with pytest.raises(HilumError, match=r"look like patients \(each holds images of one study\)"):
        datasets.open_path(tmp_path)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ([f"patient{n // 3:02d}/{n}.png" for n in range(18)], "they are called patient00 and the"),
        ([f"{chr(97 + n)}/1.png" for n in range(6)], "about one image to a folder"),
    ],
)
def test_folders_of_pictures_by_patient(tmp_path: Path, names: list[str], why: str) -> None:
    for i, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8 + i), 9).save(tmp_path / name)
    with pytest.raises(HilumError, match="look like patients") as caught:
        datasets.open_path(tmp_path)
    assert why in str(caught.value)


def test_classes_stay_classes(tmp_path: Path) -> None:
    """Two classes of one patient each, and five grades of several patients each."""
    for i, film in enumerate(drawn(2)):
        save(tmp_path / "two" / ("covid", "normal")[i] / "a.dcm", film,
             PatientID=f"P{i}", SOPInstanceUID=f"1.2.{i}")  # fmt: skip
    for i, film in enumerate(drawn(15)):
        save(tmp_path / "five" / f"grade {i % 5}" / f"{i}.dcm", film,
             PatientID=str(i), StudyInstanceUID=f"1.3.{i}", SOPInstanceUID=f"1.4.{i}")  # fmt: skip
    assert datasets.open_path(tmp_path / "two").table["label"].nunique() == 2
    assert datasets.open_path(tmp_path / "five").table["label"].nunique() == 5


# sources


def classes_of_dicom(home: Path, count: int = 8, **more: object) -> Path:
    """Two class folders of `count` files; `more` as in `export`."""
    for i, film in enumerate(drawn(count)):
        own = {k: v[i] if isinstance(v, list) else v for k, v in more.items()}
        save(home / "ab"[i % 2] / f"{i}.dcm", film,
             **{"PatientID": f"P{i}", "SOPInstanceUID": f"1.2.{i}", **own})  # fmt: skip
    return home


def test_the_institution_is_the_source_without_its_name(pacs: Export, tmp_path: Path) -> None:
    found = opened(pacs, pacs.csv(tmp_path / "l.csv", "path", "label"))
    names = pd.Series(["St. A Hospital" if i % 3 == 0 else "St. B Hospital" for i in range(FILMS)])
    per_path = dict(zip(pacs.truth["path"], names, strict=True))
    below = [Path(path).relative_to(pacs.home).as_posix() for path in found.table["path"]]
    pairs = set(zip((per_path[path] for path in below), found.table["source"], strict=True))
    assert len(pairs) == 2
    assert len({source for _, source in pairs}) == 2
    assert not any("Hospital" in str(source) for source in found.table["source"])
    (note,) = [note for note in found.notes if "The source" in note]
    assert "as InstitutionName (2 different), not by name" in note
    assert "Hospital" not in note


def test_one_hospital_has_one_name_in_two_sets(tmp_path: Path) -> None:
    """What is learnt of one set holds for the next: the digest does not depend on the others."""
    one = classes_of_dicom(tmp_path / "1", InstitutionName="North")
    two = classes_of_dicom(tmp_path / "2", InstitutionName=["North", "South"] * 4)
    first, second = (set(datasets.open_path(home).table["source"]) for home in (one, two))
    assert first < second
    assert len(second) == 2


@pytest.mark.parametrize(
    ("elements", "sources_wanted", "said"),
    [
        ({"Manufacturer": "M", "StationName": ["S1", "S2"] * 4}, 2, "Manufacturer and StationName"),
        ({"Manufacturer": ["M", "N"] * 4}, 2, "as Manufacturer (2 different)"),
        ({"InstitutionName": "ANONYMIZED", "StationName": ["S", "T"] * 4}, 2, "and StationName"),
        ({"InstitutionName": ["H"] * 7 + [""]}, 1, "1 images without it"),
        ({"InstitutionName": ["H"] + [None] * 7, "Manufacturer": "M"}, 1, "as Manufacturer"),
        ({"InstitutionName": "H", "StationName": ["S", "T"] * 4}, 1, "StationName tells devices"),
    ],
)
def test_what_says_the_source_where_no_institution_does(
    tmp_path: Path, elements: dict[str, object], sources_wanted: int, said: str
) -> None:
    found = datasets.open_path(classes_of_dicom(tmp_path, **elements))
    assert found.table["source"].nunique() == sources_wanted
    assert any(said in note for note in found.notes if note.startswith("The source"))


@pytest.mark.parametrize("name", [None, "", "ANONYMOUS", "De-identified", "unknown", "xxxx", "0"])
def test_no_name_is_no_source(tmp_path: Path, name: str | None) -> None:
    found = datasets.open_path(classes_of_dicom(tmp_path, InstitutionName=name))
    assert found.table["source"].isna().all()
    assert not any("The source" in note for note in found.notes)


def test_a_name_that_only_begins_like_a_placeholder(tmp_path: Path) -> None:
    home = classes_of_dicom(tmp_path, InstitutionName=["Hidden Valley Clinic", "Maskinonge"] * 4)
    assert datasets.open_path(home).table["source"].nunique() == 2


def test_a_tag_by_name(tmp_path: Path) -> None:
    home = classes_of_dicom(
        tmp_path, InstitutionName=["North", "South"] * 4, StationName=["S", "S", "T", "T"] * 2
    )
    seen = {
        tag: datasets.open_path(home, options=TreeOptions(source_tag=tag)).table["source"]
        for tag in ("InstitutionName", "stationname", "none")
    }
    assert set(seen["InstitutionName"]) == {"North", "South"}
    assert set(seen["stationname"]) == {"S", "T"}
    assert seen["none"].isna().all()


@pytest.mark.parametrize("tag", ["Institutionname2", "PatientName", "PixelData", "Rows", "0"])
def test_tags_that_say_no_place(tag: str) -> None:
    with pytest.raises(HilumError, match=f"got '{tag}'; did you mean 'InstitutionName'"):
        sources.checked(tag)


def test_a_tag_that_no_header_fills(tmp_path: Path) -> None:
    home = classes_of_dicom(tmp_path)
    with pytest.raises(HilumError, match=r"got 'StationName', which is empty in all 8 images"):
        datasets.open_path(home, options=TreeOptions(source_tag="StationName"))


def test_a_table_s_source_is_kept(tmp_path: Path) -> None:
    home = classes_of_dicom(tmp_path / "t", InstitutionName="H")
    rows = "".join(f"{'ab'[i % 2]}/{i}.dcm,{'ab'[i % 2]},Ward\n" for i in range(8))
    (tmp_path / "l.csv").write_text("path,label,site\n" + rows)
    found = datasets.open_path(home, options=TreeOptions(str(tmp_path / "l.csv")))
    assert set(found.table["source"]) == {"Ward"}


# one number, two hospitals


@pytest.mark.parametrize(
    ("sexes", "said"),
    [("FFFF", "2 patient numbers occur at several sources. Each"), ("FMFF", "1 of them with both")],
)
def test_equal_numbers_of_two_hospitals(tmp_path: Path, sexes: str, said: str) -> None:
    lines = ["path,label,patient,hospital,sex"]
    for i, (patient, house) in enumerate((("1", "A"), ("1", "B"), ("2", "A"), ("2", "B"))):
        Image.new("L", (8, 8 + i), 9).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,{'xy'[i % 2]},{patient},{house},{sexes[i]}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    found = datasets.open_path(tmp_path / "t.csv")
    assert found.table["patient_id"].nunique() == 2
    (note,) = [note for note in found.notes if "several sources" in note]
    assert said in note
    assert "put the source before the number" in note


def test_equal_numbers_of_two_sets(tmp_path: Path) -> None:
    """Two tables of one study, each with its own patients 1 and 2."""
    for house in "AB":
        lines = ["path,label,patient"]
        for i in range(2):
            image = tmp_path / house / f"{house}{i}.png"
            image.parent.mkdir(exist_ok=True)
            Image.new("L", (8, 8 + i + 2 * (house == "A")), 9).save(image)
            lines.append(f"{house}{i}.png,{'xy'[i % 2]},{i}")
        (tmp_path / house / "t.csv").write_text("\n".join(lines))
    data = ", ".join(f'{{path="{tmp_path / house}"}}' for house in "AB")
    plan = recipes.load_recipe("default", changes=[f"data=[{data}]"])
    notes = dataset.load_manifest(plan, None, tmp_path / "out").notes
    assert any("2 patient numbers occur in several sets of data" in note for note in notes)
    alone = recipes.load_recipe("default", changes=[f'data=[{{path="{tmp_path / "A"}"}}]'])
    assert not any("several" in note for note in dataset.load_manifest(alone, None, tmp_path).notes)


def test_numbers_of_one_hospital_each_raise_no_question(tmp_path: Path) -> None:
    lines = ["path,label,patient,hospital"]
    for i, patient in enumerate(("A-1", "B-1", "A-1", "B-2")):
        Image.new("L", (8, 8 + i), 9).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,{'xy'[i % 2]},{patient},{patient[0]}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    assert not any(
        "several sources" in note for note in datasets.open_path(tmp_path / "t.csv").notes
    )


# columns that nobody fills


@pytest.mark.parametrize("kept", ["", "ViewPosition", "Modality", "PatientAge", "PatientSex"])
@pytest.mark.parametrize("kind", ["tree and table", "table", "class folders"])
def test_headers_that_say_next_to_nothing(tmp_path: Path, kept: str, kind: str) -> None:
    """No view, patient, age, sex, modality and source in any header, or one of them only."""
    said = {"ViewPosition": "PA", "Modality": "DX", "PatientAge": "050Y", "PatientSex": "F"}
    home = classes_of_dicom(
        tmp_path, **{"PatientID": None, "Modality": None, **({kept: said[kept]} if kept else {})}
    )
    rows = "".join(f"{'ab'[i % 2]}/{i}.dcm,{'ab'[i % 2]},,,,,,,\n" for i in range(8))
    if kind != "class folders":
        names = "path,label,view,modality,age,sex,source,split,mask"
        (home / "l.csv").write_text(f"{names}\n{rows}")
    found = datasets.open_path(home / "l.csv" if kind == "table" else home).table
    assert len(found) == 8
    column = {"ViewPosition": "view", "PatientAge": "age", "PatientSex": "sex"}.get(kept)
    empty = {"view", "age", "sex", "source", "patient_id", "official_part", "mask_path"} - {column}
    assert all(found[name].isna().all() for name in empty)
    assert found["modality"].notna().all() == (kept == "Modality")
    assert column is None or found[column].notna().all()


def tree(home: Path, names: list[str]) -> list[str]:
    for i, name in enumerate(names):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 6 + i)).save(path)
    return names


@pytest.mark.parametrize(
    "form",
    [
        "IM{0}.DCM",
        "im{0}.jpg",
        "IM{0}",
        "/mnt/export/TREE/p{0}/IM{0}.png",
        "D:\\x\\P{0}\\im{0}.png",
    ],
)
def test_names_in_another_spelling_label_a_tree(tmp_path: Path, form: str) -> None:
    home = tmp_path / "tree"
    tree(home, [f"p{i}/im{i}.png" for i in range(4)])
    lines = [f"{form.format(i)},{'ab'[i % 2]}" for i in range(4)]
    (tmp_path / "l.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    found = datasets.open_path(home, Columns(), None, TreeOptions(str(tmp_path / "l.csv")))
    assert list(found.table["label"]) == ["a", "b", "a", "b"]


def test_equal_names_in_folders_of_patients_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    home = tmp_path / "tree"
    tree(home, [f"p{i}/IM1.png" for i in range(4)])
    lines = [f"/mnt/elsewhere/p{i}/IM1.png,{'ab'[i // 2]}" for i in range(4)]
    (tmp_path / "l.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    found = datasets.open_path(home, Columns(), None, TreeOptions(str(tmp_path / "l.csv")))
    assert list(found.table["label"]) == ["a", "a", "b", "b"]


def test_a_key_of_zeros_alone_is_padded_too(tmp_path: Path) -> None:
    pacs = export(tmp_path / "t", drawn(3), ["a", "b", "a"], AccessionNumber=["000", "001", "002"])
    (tmp_path / "l.csv").write_text("AccessionNumber,label\n0,a\n1,b\n2,a\n")
    assert labels_of(opened(pacs, tmp_path / "l.csv"), pacs.home) == truth(pacs)


def test_folders_that_only_begin_the_names_in_them_are_no_classes(tmp_path: Path) -> None:
    """MIMIC-CXR: p10/p10000032/s50414267/image.jpg."""
    tree(tmp_path, [f"p1{i % 2}/p1{i % 2}00003{i}/s5{i}/{i}.jpg" for i in range(6)])
    with pytest.raises(HilumError, match=r"look like patients \(p10 holds folders"):
        datasets.open_path(tmp_path)


@pytest.mark.parametrize("names", [("1", "2"), ("p1", "p2")])
def test_numbered_classes_stay_classes(tmp_path: Path, names: tuple[str, str]) -> None:
    tree(tmp_path, [f"{name}/{sub}/{i}.png" for name in names for sub in "xy" for i in range(3)])
    assert datasets.open_path(tmp_path).table["label"].nunique() == 2
