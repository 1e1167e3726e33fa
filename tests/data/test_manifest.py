"""The manifest's schema, its spellings, its file, and what it refuses."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hilum.data import manifest
from hilum.types import MANIFEST_COLUMNS, HilumError, LeftOut, Manifest


def rows(n: int = 4, **more: Any) -> list[dict[str, Any]]:
    return [{"path": f"{'ab'[i % 2]}/{i}.png", "label": "ab"[i % 2], **more} for i in range(n)]


def built(n: int = 4, dataset: str = "demo") -> Manifest:
    return manifest.assemble_manifest(rows(n), dataset, root="/data")


def test_build_fills_the_schema() -> None:
    table = manifest.assemble_manifest(rows(2, patient_id="7", age=61), "demo", root="/data").table
    assert tuple(table.columns) == MANIFEST_COLUMNS
    assert table["sample_id"].tolist() == ["demo/a/0.png", "demo/b/1.png"]
    assert table["path"].tolist() == ["/data/a/0.png", "/data/b/1.png"]
    assert table["patient_id"].tolist() == ["demo:7", "demo:7"]
    assert table["dataset"].tolist() == ["demo", "demo"]
    assert table["age"].dtype == np.float64
    assert table["source"].isna().all()
    assert table["mask_path"].isna().all()


def test_sample_ids_do_not_depend_on_where_the_data_lie(tmp_path: Path) -> None:
    here = manifest.assemble_manifest(rows(), "d", root="/one")
    there = manifest.assemble_manifest(rows(), "d", root=tmp_path / "other")
    absolute = manifest.assemble_manifest(
        [{**row, "path": f"/one/{row['path']}"} for row in rows()], "d", root="/one"
    )
    assert here.table["sample_id"].tolist() == there.table["sample_id"].tolist()
    pd.testing.assert_frame_equal(here.table, absolute.table)


def test_without_a_root_the_common_folder_stands_in() -> None:
    table = manifest.assemble_manifest([{"path": "/x/a/1.png"}, {"path": "/x/b/2.png"}], "d").table
    assert table["sample_id"].tolist() == ["d/a/1.png", "d/b/2.png"]


def test_paths_become_absolute_and_plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    table = manifest.assemble_manifest(
        [{"path": "x/../y/1.png", "mask_path": "m/1.png"}], "d"
    ).table
    assert table["path"].tolist() == [str(tmp_path / "y" / "1.png")]
    assert table["mask_path"].tolist() == [str(tmp_path / "m" / "1.png")]


@pytest.mark.parametrize(
    ("column", "given", "wanted"),
    [
        ("patient_id", [3.0, None], ["d:3", None]),  # a whole-number column with a gap
        ("patient_id", ["d:3", " "], ["d:3", None]),  # the prefix is not put twice
        ("patient_id", [0, 12], ["d:0", "d:12"]),
        ("sample_id", ["d/mine", "yours"], ["d/mine", "d/yours"]),
        ("sex", ["female", "m"], ["F", "M"]),
        ("view", ["ap supine", "Posteroanterior"], ["AP supine", "PA"]),
        ("view", ["LL", "oblique"], ["lateral", "oblique"]),
        ("modality", ["DX", "ct"], ["X-ray", "CT"]),
        ("age", ["61", 4.5], [61.0, 4.5]),
        ("age", [414, -1], [None, None]),
        ("source", [" A ", ""], ["A", None]),
    ],
)
def test_spellings_become_uniform(column: str, given: list[object], wanted: list[object]) -> None:
    table = manifest.assemble_manifest(
        [{"path": f"/x/{i}.png", column: value} for i, value in enumerate(given)], "d", root="/x"
    ).table
    got = [None if pd.isna(value) else value for value in table[column]]
    assert got == wanted


def test_dropped_values_are_told() -> None:
    many = [{"path": f"{i}", "age": 200 + i, "sex": "?"} for i in range(3)]
    notes = manifest.assemble_manifest(many, "d", notes=("mine",)).notes
    assert notes == (
        "mine",
        "3 ages outside 0 to 120 years count as missing.",
        "3 entries of sex other than F and M ('?') count as missing.",
    )


# refusals


def test_no_rows_says_what_was_left_out() -> None:
    with pytest.raises(
        HilumError, match=r"'d' must have at least one image; got none \(a.png, b.png: too small\)"
    ):
        manifest.assemble_manifest(
            [], "d", [LeftOut("a.png", "too small"), LeftOut("b.png", "too small")]
        )


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"path": "a", "patientid": 1}, "got 'patientid'; did you mean 'patient_id'?"),
        ({"label": "a"}, "must have a path; got the columns label"),
        ({"path": None, "sample_id": "x"}, "every image must have a path; got 1 of 1"),
        ({"path": "a", "modality": "MR"}, "modality must be CT or X-ray"),
    ],
)
def test_rows_that_do_not_fit_are_named(row: dict[str, Any], words: str) -> None:
    with pytest.raises(HilumError) as caught:
        manifest.assemble_manifest([row], "d")
    assert words in str(caught.value)


def test_repeated_ids_are_named() -> None:
    with pytest.raises(HilumError, match=r"got 'd/a\.png', 'd/b\.png' more than once"):
        manifest.assemble_manifest([{"path": f"{c}.png"} for c in "aabbbc"], "d")


def test_a_label_is_for_all_or_for_none() -> None:
    unlabelled = manifest.assemble_manifest([{"path": "a"}, {"path": "b"}], "d")
    assert unlabelled.table["label"].isna().all()
    with pytest.raises(HilumError, match=r"have a label; got 1 of 2 without one \('d/b'\)"):
        manifest.assemble_manifest([{"path": "a", "label": "x"}, {"path": "b", "label": None}], "d")


def test_check_refuses_a_table_of_another_kind() -> None:
    with pytest.raises(HilumError, match="got a table without mask_path"):
        manifest.require_manifest(built().table.drop(columns="mask_path"))
    with pytest.raises(HilumError, match="age must be a number of years"):
        manifest.require_manifest(built().table.assign(age="old"))
    with pytest.raises(HilumError, match="sex must be F or M"):
        manifest.require_manifest(built().table.assign(sex="male"))


def test_two_classes_are_wanted() -> None:
    assert manifest.require_classes(built()) == ["a", "b"]
    one = manifest.select(built(), built().table["label"] == "a", "not a")
    with pytest.raises(HilumError, match=r"at least two classes .* got only 'a'"):
        manifest.require_classes(one)
    with pytest.raises(HilumError, match="got none"):
        manifest.require_classes(manifest.assemble_manifest([{"path": "a"}], "d"))


# the file


def test_save_and_load_keep_everything(tmp_path: Path) -> None:
    first = manifest.assemble_manifest(
        rows(6, age=3.5, sex="F", source="Zürich"), "d", [LeftOut("x", "why")], ["note"], "/data"
    )
    manifest.save_manifest(first, tmp_path / "manifest.parquet")
    second = manifest.read_manifest(tmp_path / "manifest.parquet")
    pd.testing.assert_frame_equal(first.table, second.table)
    assert (second.left_out, second.notes) == (first.left_out, first.notes)
    third = pd.read_parquet(tmp_path / "manifest.parquet")  # any other tool can read it
    assert third["sample_id"].tolist() == first.table["sample_id"].tolist()


def test_a_manifest_from_before_sites_were_known_still_loads(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    manifest.save_manifest(built(), path)
    pq.write_table(pq.read_table(path).drop_columns(["site"]), path)
    found = manifest.read_manifest(path).table
    assert tuple(found.columns) == MANIFEST_COLUMNS
    assert found["site"].isna().all()


def test_relative_paths_in_a_file_are_meant_from_its_folder(tmp_path: Path) -> None:
    table = built().table.assign(path=["1.png", "2.png", "3.png", "/abs/4.png"])
    table.to_parquet(tmp_path / "m.parquet")
    paths = manifest.read_manifest(tmp_path / "m.parquet").table["path"].tolist()
    assert paths == [str(tmp_path / f"{i}.png") for i in (1, 2, 3)] + ["/abs/4.png"]


@pytest.mark.parametrize("content", [None, b"", b"not parquet", b"PAR1" + b"\0" * 50 + b"PAR1"])
def test_load_refuses_what_is_no_manifest(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "manifest.parquet"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(HilumError, match=r"manifest\.parquet must be a manifest in Parquet; got"):
        manifest.read_manifest(file)


def test_load_survives_every_truncation(tmp_path: Path) -> None:
    whole = manifest.save_manifest(built(), tmp_path / "m.parquet").read_bytes()
    for end in range(0, len(whole) - 1, 97):
        (tmp_path / "cut.parquet").write_bytes(whole[:end])
        with pytest.raises(HilumError):
            manifest.read_manifest(tmp_path / "cut.parquet")


def test_load_survives_random_damage(tmp_path: Path) -> None:
    whole = manifest.save_manifest(built(), tmp_path / "m.parquet").read_bytes()
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(300):
        data = np.frombuffer(whole, np.uint8).copy()
        data[rng.integers(len(data), size=5)] = rng.integers(256, size=5)
        (tmp_path / "f.parquet").write_bytes(data.tobytes())
        try:
            manifest.read_manifest(tmp_path / "f.parquet")
        except HilumError:
            refused += 1
    assert refused > 100


def test_load_refuses_another_table_and_strange_metadata(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(HilumError, match=r"a\.parquet must have the columns"):
        manifest.read_manifest(tmp_path / "a.parquet")
    for beside in (b"[]", b'{"left_out": [1]}', b'{"notes": 3}', b"no json", b"\xff"):
        table = pa.Table.from_pandas(built().table).replace_schema_metadata({b"hilum": beside})
        pq.write_table(table, tmp_path / "b.parquet")
        with pytest.raises(HilumError, match=r"b\.parquet must be a manifest in Parquet"):
            manifest.read_manifest(tmp_path / "b.parquet")
    built().table.assign(path=[None, "a", "b", "c"]).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(HilumError, match="every image must have a path; got 1 of 4"):
        manifest.read_manifest(tmp_path / "c.parquet")


# putting together and taking apart


def test_concat_keeps_order_and_refuses_shared_ids() -> None:
    one, two = (
        built(4, "one"),
        manifest.assemble_manifest(rows(3), "two", [LeftOut("x", "y")], ["n"], "/data"),
    )
    both = manifest.concat([one, two])
    assert both.table["dataset"].tolist() == ["one"] * 4 + ["two"] * 3
    assert both.left_out == (LeftOut("x", "y"),)
    assert both.table["age"].dtype == np.float64
    with pytest.raises(HilumError, match=r"'one/a/0.png', .* more than once"):
        manifest.concat([one, one])
    with pytest.raises(HilumError, match="got 0"):
        manifest.concat([])


def test_select_counts_what_it_drops() -> None:
    whole = built(6)
    part = manifest.select(whole, whole.table["label"] == "b", "label is not b")
    assert part.table["label"].tolist() == ["b"] * 3
    assert part.table.index.tolist() == [0, 1, 2]
    assert part.left_out == (
        LeftOut("3 images (demo/a/0.png, demo/a/2.png, demo/a/4.png)", "label is not b", 3),
    )
    again = manifest.select(part, [True, True, False], "drawn")
    assert again.left_out[1:] == (LeftOut("demo/b/5.png", "drawn"),)
    assert manifest.select(whole, [True] * 6, "none").left_out == ()
    with pytest.raises(HilumError, match="at least one image; got none"):
        manifest.select(whole, [False] * 6, "all")
    with pytest.raises(HilumError, match=r"for each of 6 images; got shape \(2,\)"):
        manifest.select(whole, [True, False], "short")


def test_summarise_counts_by_reason() -> None:
    items = [LeftOut(f"{i}.png", "bad") for i in range(1200)] + [LeftOut("x", "odd")]
    assert manifest.summarise(items) == (
        LeftOut("0.png, 1.png, 2.png and 1,197 more", "bad", 1200),
        LeftOut("x", "odd"),
    )


@pytest.mark.slow
def test_a_hundred_thousand_rows_take_no_minutes(tmp_path: Path) -> None:
    many = rows(100_000, patient_id=1, age="50", sex="M", view="PA")
    start = time.perf_counter()
    whole = manifest.assemble_manifest(many, "d", root="/data")
    manifest.save_manifest(whole, tmp_path / "m.parquet")
    loaded = manifest.read_manifest(tmp_path / "m.parquet")
    manifest.select(loaded, loaded.table["label"] == "a", "half")
    assert len(loaded.table) == 100_000
    assert time.perf_counter() - start < 20  # about 2 s on one core of a shared machine
