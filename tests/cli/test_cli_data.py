"""hilum data scan and leaks, prepare, compare, check-table: their numbers, by hand."""

import csv
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from command_line import Run, Trained, noise, write

from hilum.audits import published_table

FIGURES = "study,dataset,model,init,freeze,class,metric,value,where\n"


# --- scan -----------------------------------------------------------------------------------------


def test_scan_counts_what_lies_there(hilum: Run, trained: Trained) -> None:
    found = hilum("data", "scan", trained.data, "--json").json
    for name in ("covid19", "normal"):
        images = [path for path in (trained.data / name).glob("*.png") if "900" not in path.name]
        bad = 3 if name == "normal" else 0
        assert found["classes"][name] == len(images) + bad
    assert found["images"] == 43
    assert found["images_without_patient"] == 0
    assert found["sizes"]["width"]["median"] == 96
    assert found["formats"]["PNG"] == found["headers_read"] >= 40


def test_scan_shows_tables(hilum: Run, trained: Trained) -> None:
    done = hilum("data", "scan", trained.data, "--workers", "2")
    assert "43 images of 26 patients in 2 classes. 2 of them cannot be read." in done.out
    for title in ("Classes", "Sources", "Facts", "Left out"):
        assert f"\n{title}\n" in done.out
    assert "COVID-19" in done.out
    assert "96 x 96" in done.out
    assert "patient900_text.png" in done.out


def test_scan_of_a_table_with_named_columns(hilum: Run, tmp_path: Path) -> None:
    rows = ["bild|art|wer"]
    for i in range(6):
        write(tmp_path / f"{i}.png", noise(i))
        rows.append(f"{i}.png|{'ab'[i % 2]}|p{i // 2}")
    (tmp_path / "t.csv").write_text("\n".join([*rows, "0.png|a|p0", "9.png|a|p9"]))
    names = ("--path-column", "bild", "--label-column", "art", "--patient-column", "wer")
    found = hilum("data", "scan", tmp_path / "t.csv", *names, "--json").json
    assert (found["images"], found["patients"], found["patients_in_two_classes"]) == (6, 3, 3)
    reasons = {item["reason"]: item["what"] for item in found["left_out"]}
    assert reasons["no such image"] == "9.png"
    assert "listed more than once" in reasons


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (("COVID+", "COVID-"), "Label 'COVID-' is read as class covid_minus."),
        (("no finding", "sick"), "Label 'no finding' is read as class normal."),
        (("A|B", "B|A", "A"), "'A|B', 'B|A' count as one class, a_and_b."),
        (("a", "b", "NA"), "Column 'label': 'NA' (2 rows) count as missing."),
    ],
)
def test_scan_says_how_labels_became_classes(
    hilum: Run, tmp_path: Path, labels: tuple[str, ...], said: str
) -> None:
    rows = [f"{i}.png;{label}" for i, label in enumerate(labels * 2)]
    for i in range(len(rows)):
        write(tmp_path / f"{i}.png", noise(i))
    (tmp_path / "t.csv").write_text("\n".join(["path;label", *rows]))
    done = hilum("data", "scan", tmp_path)
    assert done.code == 0
    assert f"• {said}" in done.out


def test_scan_of_labels_that_would_meet_by_chance(hilum: Run, tmp_path: Path) -> None:
    for i, name in enumerate(("T 1", "T-1", "other")):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "a.png", noise(i))
    done = hilum("data", "scan", tmp_path)
    assert done.code == 2
    assert "got 'T 1' and 'T-1', and both would be t_1" in done.err


def test_scan_of_a_table_whose_images_are_elsewhere(hilum: Run, tmp_path: Path) -> None:
    rows = [f"D:\\old\\{i}.png,{'ab'[i % 2]}" for i in range(12)]
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *rows]))
    done = hilum("data", "scan", tmp_path / "t.csv", "--label-column", "label")
    assert done.code == 2
    assert "12 of 12 paths that lead nowhere, such as 'D:\\\\old\\\\0.png'" in done.err
    assert "--label-column" not in done.err


def test_scan_of_a_real_dataset_by_name(hilum: Run, shared: Path) -> None:
    by_name = hilum("data", "scan", "cohen", "--data", shared, "--json").json
    by_path = hilum("data", "scan", shared / "covid-chestxray-dataset", "--json").json
    assert by_name == by_path
    assert by_name["classes"] == {"covid19": 445, "pneumonia": 140, "normal": 13}
    assert by_name["views"]["PA"] == 298


# --- leaks ----------------------------------------------------------------------------------------


@pytest.fixture
def twins(tmp_path: Path) -> Path:
    """train and test folders; one file in both, one under two classes, one saved anew as PNG."""
    root = tmp_path / "set"
    for i in range(8):
        part, name = ("train", "test")[i >= 5], "ab"[i % 2]
        write(root / part / name / f"{i}.png", noise(i))
    shutil.copy(root / "train" / "a" / "0.png", root / "test" / "a" / "again.png")
    shutil.copy(root / "train" / "a" / "2.png", root / "train" / "b" / "other.png")
    pixels = cv2.imread(str(root / "train" / "b" / "1.png"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(root / "train" / "b" / "anew.png"), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    return root


def test_leaks_inside_one_set(hilum: Run, twins: Path) -> None:
    (found,) = hilum("data", "leaks", twins, "--json").json["sets"]
    assert found["images"] == 11
    assert found["counts"] == {"same bytes": 2, "same pixels": 1}
    assert found["across_parts"] == {"same bytes": 1}
    assert found["labels_differ"] == 1
    (torn,) = [pair for pair in found["pairs"] if pair["labels_differ"]]
    assert {torn["first"].rsplit("/")[-1], torn["second"].rsplit("/")[-1]} == {"2.png", "other.png"}
    shown = hilum("data", "leaks", twins).out
    assert "3 pairs of twins among 11 images; 1 pairs differ in their label" in shown
    assert "test/a/again.png" in shown


def test_leaks_between_sets(hilum: Run, twins: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(twins / "train", other)
    for i in range(3):
        write(other / "a" / f"new{i}.png", noise(50 + i))
    found = hilum("data", "leaks", twins, other, "--json").json
    assert len(found["sets"]) == 2
    (between,) = found["between"]
    # by hand: 7 copies; 2 = other = 2 and 0 = again, so those count in both directions
    assert between["counts"]["same bytes"] == 10
    assert between["counts"]["same pixels"] == 2
    assert {leak["first_part"] for leak in between["pairs"]} == {"set"}
    apart = tmp_path / "apart"
    for i in range(4):
        write(apart / "ab"[i % 2] / f"{i}.png", noise(70 + i))
    assert "share no patient and no image" in hilum("data", "leaks", other, apart).out


def test_leaks_between_two_tables_of_one_name(hilum: Run, tmp_path: Path) -> None:
    tables = []
    for k, number in enumerate(("007", "7")):
        home = tmp_path / f"hospital{k}"
        names = [write(home / f"{i}.png", noise(80 + 10 * k + i)).name for i in range(2)]
        rows = [f"{names[0]},a,{number}", f"{names[1]},b,x{k}"]
        (home / "t.csv").write_text("image,label,patient_id\n" + "\n".join(rows) + "\n")
        tables.append(home / "t.csv")
    shown = hilum("data", "leaks", *tables).out
    assert f"{tables[0]} and {tables[1]} share 1 pairs." in " ".join(shown.split())
    (between,) = hilum("data", "leaks", *tables, "--json").json["between"]
    assert between["counts"] == {"same patient": 1}


def test_leaks_of_real_sets(hilum: Run, shared: Path) -> None:
    found = hilum("data", "leaks", "cohen", "v7_masks", "--data", shared, "--json").json
    (between,) = found["between"]
    shares = {leak["second"].partition("/")[2] for leak in between["pairs"]}
    names = {path.name for path in (shared / "v7-lung-masks" / "images").iterdir()}
    assert len(shares & {f"images/{name}" for name in names}) >= 290


# --- prepare --------------------------------------------------------------------------------------


def test_prepare_writes_what_the_steps_give(hilum: Run, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    flat = np.full((50, 100), 200, np.uint8)
    write(folder / "one" / "wide.png", flat)
    write(folder / "one" / "wide.jpg", flat)
    write(folder / "two" / "noise.png", noise(1, 64))
    (folder / "two" / "bad.png").write_text("no image")
    (folder / "two" / "read.me").write_text("no image either")
    words = ("prepare", folder, "--steps", "letterbox", "--side", "64", "--out", out)
    found = hilum(*words, "--json").json
    assert found["written"] == 3
    assert sorted(str(p.relative_to(out / "images")) for p in (out / "images").rglob("*.png")) == [
        "one/wide.jpg.png",
        "one/wide.png.png",
        "two/noise.png",
    ]
    image = cv2.imread(str(out / "images" / "one" / "wide.png.png"), cv2.IMREAD_UNCHANGED)
    wanted = np.full((64, 64), 128, np.uint8)
    wanted[16:48] = 200  # 100 x 50 becomes 64 x 32, with 16 rows of grey above and below
    np.testing.assert_array_equal(image, wanted)
    left = pd.read_csv(out / "left_out.csv")
    assert sorted(left["what"].str.rsplit("/").str[-1]) == ["bad.png", "read.me"]
    assert [item["reason"] for item in found["left_out"]] == list(left["reason"])
    assert cv2.imread(found["sheet"]).shape[0] > 300
    assert len(pd.read_csv(out / "contact_sheet.csv")) == 3


def test_prepare_without_a_fixed_size_keeps_each_images_own(hilum: Run, tmp_path: Path) -> None:
    pixels = noise(4, 80)[:, :60]
    write(tmp_path / "in" / "a.png", pixels)
    words = ("--steps", "clahe, equalise", "--out", tmp_path / "out")
    assert "1 images are prepared" in hilum("prepare", tmp_path / "in", *words).out
    wanted = cv2.equalizeHist(cv2.createCLAHE(2.0, (8, 8)).apply(np.ascontiguousarray(pixels)))
    image = cv2.imread(str(tmp_path / "out" / "images" / "a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(image, wanted)


def test_prepare_never_reads_what_it_wrote(hilum: Run, tmp_path: Path) -> None:
    write(tmp_path / "a.png", noise(1))
    for place in (tmp_path, tmp_path / "prepared"):
        done = hilum("prepare", tmp_path, "--steps", "resize", "--out", place)
        assert done.code == 2
        assert "must be apart from the images" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


# --- compare --------------------------------------------------------------------------------------


def copied(run: Path, to: Path) -> Path:
    to.mkdir()
    for name in ("results.json", "predictions.csv"):
        shutil.copy(run / name, to / name)
    return to


def test_compare_with_itself_and_with_a_worse_copy(
    hilum: Run, trained: Trained, tmp_path: Path
) -> None:
    table = pd.read_csv(trained.folder / "predictions.csv")
    worse = copied(trained.folder, tmp_path / "worse")
    right = table[["p_covid19", "p_normal"]].idxmax(axis=1) == "p_" + table["label"]
    row = int(np.flatnonzero(right)[0])
    table.loc[row, ["p_covid19", "p_normal"]] = table.loc[row, ["p_normal", "p_covid19"]].to_numpy()
    table.to_csv(worse / "predictions.csv", index=False)
    same = hilum("compare", trained.folder, trained.folder, "--json").json
    assert {row["difference"] for row in same["differences"]} == {0.0}
    found = hilum("compare", trained.folder, worse, "--json").json
    accuracy = next(row for row in found["differences"] if row["name"] == "accuracy")
    assert found["images"] == len(table)
    assert accuracy["difference"] == pytest.approx(-1 / len(table))
    assert accuracy["first"] == pytest.approx(right.mean())


def test_compare_says_what_counts_as_a_patient(
    hilum: Run, trained: Trained, tmp_path: Path
) -> None:
    table = pd.read_csv(trained.folder / "predictions.csv")
    known = hilum("compare", trained.folder, trained.folder)
    assert "is of another patient" in known.out or "Patients are the unit" in known.out
    nobody = copied(trained.folder, tmp_path / "nobody")
    table.assign(patient_id=None).to_csv(nobody / "predictions.csv", index=False)
    done = hilum("compare", nobody, nobody)
    assert done.code == 0, done.err
    assert "No patient is known: each of" in done.out
    assert "McNemar (mid-p) for shares of images" in done.out
    rows = hilum("compare", nobody, nobody, "--json").json["differences"]
    assert all("unknown" in row["method"] or "by image" in row["method"] for row in rows)


def test_compare_says_what_is_not_shared(hilum: Run, trained: Trained, tmp_path: Path) -> None:
    fewer = copied(trained.folder, tmp_path / "fewer")
    table = pd.read_csv(trained.folder / "predictions.csv")
    table.iloc[:-2].to_csv(fewer / "predictions.csv", index=False)
    done = hilum("compare", trained.folder, fewer)
    assert done.code == 0, done.err
    assert f"{len(table) - 2} shared test images" in done.out
    assert "Left out" in done.out  # the words of its cells are wrapped as paths are long
    (left,) = hilum("compare", trained.folder, fewer, "--json").json["left_out"]
    assert left["what"].startswith(f"2 images ({sorted(table['sample_id'].iloc[-2:])[0]}")
    assert left["count"] == 2
    assert "not for clinical use" in done.out.lower()
    table.assign(sample_id=[f"x{i}" for i in range(len(table))]).to_csv(
        fewer / "predictions.csv", index=False
    )
    done = hilum("compare", trained.folder, fewer)
    assert done.code == 2
    assert "none of them shared" in done.err
    done = hilum("compare", trained.folder, fewer, "--html", tmp_path / "new" / "page.html")
    assert done.code == 0, done.err
    assert str(tmp_path / "new" / "page.html") in done.out
    page = (tmp_path / "new" / "page.html").read_text()
    assert "Not checked: paired differences, because no test image is in both runs." in page
    assert "p (Holm)" not in page


def test_compare_knows_a_file_by_its_bytes(hilum: Run, trained: Trained, tmp_path: Path) -> None:
    """A table of a folder names the folder's files anew, and may say whose they are."""
    table = pd.read_csv(trained.folder / "predictions.csv", dtype={"patient_id": "str"})
    known = pd.read_parquet(trained.folder / "manifest.parquet")
    anew = {name: f"table/{i}.png" for i, name in enumerate(known["sample_id"])}
    folder, named = (copied(trained.folder, tmp_path / name) for name in ("folder", "named"))
    for to, frame, ids in (
        (folder, table.assign(patient_id=None), {}),
        (named, table.assign(sample_id=table["sample_id"].map(anew)), anew),
    ):
        frame.to_csv(to / "predictions.csv", index=False)
        listed = known.assign(sample_id=known["sample_id"].replace(ids))
        listed.to_parquet(to / "manifest.parquet")
    found = hilum("compare", folder, named, "--json").json
    assert (found["images"], found["left_out"]) == (len(table), [])
    both = hilum("compare", trained.folder, trained.folder, "--json").json
    assert found["differences"] == both["differences"]
    twice = known.assign(sample_id=list(anew.values()), sha256="0" * 64)
    twice.to_parquet(named / "manifest.parquet")
    done = hilum("compare", folder, named)
    assert (done.code, "none of them shared" in done.err) == (2, True)


def test_compare_wants_the_same_classes(hilum: Run, trained: Trained, tmp_path: Path) -> None:
    other = copied(trained.folder, tmp_path / "other")
    for name in ("results.json", "predictions.csv"):
        (other / name).write_text((other / name).read_text().replace("covid19", "flu"))
    done = hilum("compare", trained.folder, other)
    assert (done.code, "same classes; got covid19, normal" in done.err) == (2, True)
    (other / "results.json").write_text("{}")
    done = hilum("compare", trained.folder, other)
    assert (done.code, "run it again" in done.err) == (2, True)


def test_compare_knows_a_class_called_na(hilum: Run, trained: Trained, tmp_path: Path) -> None:
    other = copied(trained.folder, tmp_path / "other")
    for name in ("results.json", "predictions.csv"):
        text = (other / name).read_text()
        (other / name).write_text(
            re.sub(r"\bcovid19\b", "null", text).replace("p_covid19", "p_null")
        )
    done = hilum("compare", other, other, "--json")
    assert done.code == 0
    assert (
        done.json["images"]
        == hilum("compare", trained.folder, trained.folder, "--json").json["images"]
    )


# --- check-table ----------------------------------------------------------------------------------


def test_check_table_and_its_exit_codes(hilum: Run, tmp_path: Path) -> None:
    """No k of 100 prints as 0.976."""
    rows = "4,c test 100/3000,ResNet18,,,COVID-19,sensitivity@0.15,{},Table 1\n"
    other = "4,c test 100/3000,ResNet18,,,other,specificity@0.15,0.899,Table 1\n"
    (tmp_path / "bad.csv").write_text(FIGURES + rows.format("0.976") + other)
    (tmp_path / "good.csv").write_text(FIGURES + rows.format("0.97") + other)
    done = hilum("check-table", tmp_path / "bad.csv")
    assert done.code == 0
    assert "no k of 100 gives it" in done.out
    assert hilum("check-table", tmp_path / "bad.csv", "--strict").code == 1
    found = hilum("check-table", tmp_path / "bad.csv", "--strict", "--json")
    assert found.code == 1
    assert [item["kind"] for item in found.json["violations"]] == ["share"]
    assert hilum("check-table", tmp_path / "good.csv", "--strict").code == 0


def test_check_table_wants_its_columns(hilum: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    done = hilum("check-table", tmp_path / "t.csv")
    assert done.code == 2
    assert "without study" in done.err


def test_check_table_writes_a_table_that_it_reads(hilum: Run, tmp_path: Path) -> None:
    """The template with the example's row, as a spreadsheet may save it: semicolons and a BOM."""
    file = tmp_path / "t.csv"
    done = hilum("check-table", "--template", file)
    assert (done.code, done.err) == (0, "")
    text = file.read_text()
    for name in published_table.COLUMNS:
        assert f"# {name}: " in text
        assert name in done.out
    empty = hilum("check-table", file)
    assert empty.code == 2
    assert "t.csv' without any; fill it in" in empty.err
    rows = [*csv.reader(text.splitlines()), published_table.EXAMPLE]
    rows.append([*rows[-1][:5], "other", "specificity@0.15", "0.899", "Table 1"])
    with file.open("w", encoding="utf-8-sig", newline="") as written:
        csv.writer(written, delimiter=";").writerows(rows)
    checked = hilum("check-table", file, "--json").json
    assert [item["kind"] for item in checked["violations"]] == ["share"]
    assert checked["left_out"] == []
    assert hilum("check-table", "--template", file).code == 2
    assert "yamani2021" in file.read_text()


def test_check_table_of_a_recipe_knows_how_many_were_tested(hilum: Run) -> None:
    """Spec S4-12: 97.6 and 94.3 percent cannot come from 100 films; study 002 is possible."""
    done = hilum("check-table", "yamani2021", "--strict", "--json")
    assert done.code == 1
    found = [(v["study"], v["where"], v["metric"]) for v in done.json["violations"]]
    assert found == [
        ("004", "Table 1, threshold 0.15", "sensitivity"),
        ("004", "Table 1, threshold 0.20", "sensitivity"),
    ]
    possible = hilum("check-table", "cuijpers2020", "--strict")
    assert possible.code == 0
    assert "Checks: 52. Impossible figures: 0." in possible.out
    assert "Not checked: " in hilum("check-table", "elazhari2022").out
