"""Leaks: brute force, hand-made cases and the duplicates known of the real sets."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum import datasets
from hilum.data import duplicates, leakage, splits
from hilum.data.duplicates import Nearness, near_pairs, within_radius
from hilum.data.fingerprints import fingerprint, hamming
from hilum.data.leakage import Side
from hilum.data.prepared_dataset import ThumbnailOnly, prepare_dataset
from hilum.types import MANIFEST_COLUMNS, Fingerprints, HilumError, Manifest, Split

if TYPE_CHECKING:
    from peak_memory import PeakMemory

Hashes = npt.NDArray[np.uint8]


def brute(hashes: Hashes, radius: int) -> list[tuple[int, int]]:
    """Every pair compared, one by one."""
    numbers = [int.from_bytes(row.tobytes(), "big") for row in hashes]
    pairs = itertools.combinations(range(len(numbers)), 2)
    return [(i, j) for i, j in pairs if (numbers[i] ^ numbers[j]).bit_count() <= radius]


def clustered(seed: int, count: int, flips: int, width: int = 32) -> Hashes:
    """Packed hashes (count, width) a few random bits away from very few centres."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (3, 8 * width), dtype=np.uint8)[rng.integers(0, 3, count)]
    for row in bits:
        row[rng.choice(8 * width, rng.integers(0, flips + 1), replace=False)] ^= 1
    return np.packbits(bits, axis=1)


@given(st.integers(0, 2**32), st.integers(0, 40), st.integers(0, 40), st.integers(0, 24))
def test_search_is_exact(seed: int, count: int, radius: int, flips: int) -> None:
    hashes = clustered(seed, count, flips)
    found = within_radius(hashes, radius)
    assert [tuple(pair) for pair in found.tolist()] == brute(hashes, radius)


@given(st.integers(0, 2**32), st.integers(1, 15))
def test_search_is_exact_for_short_hashes(seed: int, radius: int) -> None:
    hashes = clustered(seed, 30, 6, width=2)
    found = within_radius(hashes, radius)
    assert [tuple(pair) for pair in found.tolist()] == brute(hashes, radius)


def test_search_finds_the_edge_of_its_radius() -> None:
    """16 differences spread so that each but one group of bits has one; 17 are too many."""
    base, near, far = np.zeros((3, 256), np.uint8)
    near[:16], far[:17] = 1, 1
    found = within_radius(np.packbits([base, near, far], axis=1), 16)
    assert found.tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize("radius", [-1, 256])
def test_search_refuses_a_radius_that_it_cannot_promise(radius: int) -> None:
    with pytest.raises(HilumError, match=f"between 0 and 255 for 256-bit hashes; got {radius}"):
        within_radius(np.zeros((2, 32), np.uint8), radius)


def test_search_equals_faiss() -> None:
    faiss = pytest.importorskip("faiss")
    hashes = clustered(5, 3000, 30)
    index = faiss.IndexBinaryFlat(256)
    index.add(hashes)
    limits, _, others = index.range_search(hashes, 17)  # faiss: strictly below
    firsts = np.repeat(np.arange(len(hashes)), np.diff(limits.astype(np.int64)))
    theirs = {(int(i), int(j)) for i, j in zip(firsts, others, strict=True) if i < j}
    ours = {(int(i), int(j)) for i, j in within_radius(hashes, 16)}
    assert ours == theirs
    assert len(ours) > 1000


def test_search_does_not_compare_all_pairs() -> None:
    """20,000 hashes have 200 million pairs; comparing them all takes far longer than this."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (20_000, 32), dtype=np.uint8)
    hashes[10_000:10_050] = hashes[:50] ^ np.uint8(0)
    start = time.process_time()
    found = within_radius(hashes, 16)
    assert time.process_time() - start < 2
    assert found.tolist() == [[i, 10_000 + i] for i in range(50)]


def test_search_dismisses_by_eight_bytes_what_shares_a_group_by_chance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """17 x 20,000² / 2 / 2^15 pairs share a group by chance: they grow with the images squared."""
    compared: list[int] = []

    def counted(first: Hashes, second: Hashes) -> npt.NDArray[np.int64]:
        compared.append(len(first))
        return hamming(first, second)

    monkeypatch.setattr(duplicates, "hamming", counted)
    hashes = np.random.default_rng(0).integers(0, 256, (20_000, 32), dtype=np.uint8)
    assert len(within_radius(hashes, 16)) == 0
    assert sum(compared) < 100


def test_clusters_take_little_memory(scene: Fingerprints, peak_memory: "PeakMemory") -> None:
    """Where nothing is shared, no name and no hash is copied: all are there already."""
    count, rng = 100_000, np.random.default_rng(0)
    keys = tuple(f"{number:064x}" for number in range(count))
    hashes = rng.integers(0, 256, (count, 32), dtype=np.uint8)
    thumbnails = np.zeros((count, 32, 32), np.uint8)
    prints = Fingerprints(tuple(f"s{i}" for i in range(count)), keys, keys, hashes, thumbnails)
    manifest = manifest_of([None] * count)
    leakage.clusters(manifest_of([None] * 6), scene)  # imports what it needs
    with peak_memory() as grown:
        named = leakage.clusters(manifest, prints)
    assert named.tolist() == named.index.tolist()
    assert grown() / count < 500  # bytes an image


def picture(seed: int) -> npt.NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(size=(96, 96))
    both = sum(cv2.GaussianBlur(noise, (0, 0), s) * s for s in (2.0, 6.0))
    return cv2.normalize(both, None, 20, 235, cv2.NORM_MINMAX).astype(np.uint8)


def prints_of(pictures: list[npt.NDArray[np.uint8]], files: str) -> Fingerprints:
    """Fingerprints of pictures in files whose bytes are named by one letter each."""
    each = [fingerprint(item) for item in pictures]
    return Fingerprints(
        tuple(f"s{i}" for i in range(len(each))),
        tuple(files),
        tuple(item.pixels_sha256.tobytes().hex() for item in each),
        np.stack([item.perceptual for item in each]),
        np.stack([item.thumbnail for item in each]),
    )


def manifest_of(patients: list[str | None], labels: list[str] | None = None) -> Manifest:
    count = len(patients)
    table = pd.DataFrame(
        {name: pd.Series([pd.NA] * count, dtype="str") for name in MANIFEST_COLUMNS}
    )
    table["sample_id"] = [f"s{i}" for i in range(count)]
    table["patient_id"] = pd.Series(patients, dtype="str")
    table["label"] = labels or ["normal"] * count
    return Manifest(table)


def split_of(*folds: list[str]) -> Split:
    rows = [
        {"sample_id": f"s{i}", "fold": fold, "part": part}
        for fold, parts in enumerate(folds)
        for i, part in enumerate(parts)
        if part
    ]
    return Split(pd.DataFrame(rows), "kfold", "image", 0)


@pytest.fixture(scope="module")
def scene() -> Fingerprints:
    """s0; s1 the same file; s2 the same pixels; s3 s0 at half size; s4 something else; s5 flat."""
    first = picture(1)
    half = cv2.resize(first, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    flat = np.full((64, 64), 9, np.uint8)
    return prints_of([first, first, first, half, picture(2), flat], "aabcde")


def brief(found: list[Any]) -> set[tuple[Any, ...]]:
    return {(leak.kind, leak.fold, leak.first, leak.second) for leak in found}


def test_each_pair_has_its_strongest_kind(scene: Fingerprints) -> None:
    parts = ["train", "test", "validation", "test", "test", "train"]
    found = leakage.find_leaks(split_of(parts), manifest_of([None] * 6), scene)
    assert brief(found) == {
        ("same bytes", 0, "s0", "s1"),
        ("same pixels", 0, "s0", "s2"),
        ("same pixels", 0, "s1", "s2"),
        ("near duplicate", 0, "s0", "s3"),
        ("near duplicate", 0, "s2", "s3"),
    }
    by_kind = {leak.kind: leak for leak in found}
    near = by_kind["near duplicate"]
    assert near.distance is not None
    assert 0 <= near.distance <= 16
    assert by_kind["same bytes"].distance is None
    assert (by_kind["same bytes"].first_part, by_kind["same bytes"].second_part) == (
        "train",
        "test",
    )


def test_each_fold_stands_for_itself(scene: Fingerprints) -> None:
    patients = ["p", None, None, None, "p", None]
    split = split_of(
        ["train", "train", "", "", "test", "train"], ["test", "train", "", "", "test", "train"]
    )
    found = leakage.find_leaks(split, manifest_of(patients), scene)
    assert brief(found) == {("same patient", 0, "s0", "s4"), ("same bytes", 1, "s0", "s1")}


def test_one_persons_twins_are_a_fault_of_patients_and_one_of_images(scene: Fingerprints) -> None:
    split = split_of(["train", "test", "", "", "", ""])
    found = leakage.find_leaks(split, manifest_of(["p", "p", *[None] * 4]), scene)
    assert brief(found) == {("same patient", 0, "s0", "s1"), ("same bytes", 0, "s0", "s1")}


def test_unknown_patients_are_not_one_patient(scene: Fingerprints) -> None:
    split = split_of(["", "", "", "", "train", "test"])
    assert leakage.find_leaks(split, manifest_of([None] * 6), scene) == []


def test_rows_may_come_in_any_order(scene: Fingerprints) -> None:
    manifest = manifest_of([None] * 6)
    turned = Manifest(manifest.table.iloc[::-1].reset_index(drop=True))
    split = split_of(["train", "test", "validation", "test", "test", "train"])
    found = leakage.find_leaks(split, manifest, scene), leakage.find_leaks(split, turned, scene)
    one, other = ({(k, frozenset((a, b))) for k, _, a, b in brief(item)} for item in found)
    assert one == other


def test_missing_fingerprints_are_refused(scene: Fingerprints) -> None:
    with pytest.raises(HilumError, match="such as 's6'"):
        leakage.find_leaks(split_of(["train"] * 7), manifest_of([None] * 7), scene)


def test_between_sets_that_share_names(scene: Fingerprints) -> None:
    manifest = manifest_of(["p", *[None] * 5])
    whole = manifest, scene
    part = Manifest(manifest.table.iloc[[0, 4]]), scene
    found = leakage.between(part, whole, ("external", "training"))
    assert brief(found) == {
        ("same bytes", 0, "s0", "s0"),
        ("same bytes", 0, "s0", "s1"),
        ("same pixels", 0, "s0", "s2"),
        ("near duplicate", 0, "s0", "s3"),
        ("same bytes", 0, "s4", "s4"),
        ("same patient", 0, "s0", "s0"),
    }
    assert {(leak.first_part, leak.second_part) for leak in found} == {("external", "training")}


def test_between_sets_of_one_name_and_of_two_kinds(scene: Fingerprints) -> None:
    """Two tables called t.csv, or a table and a DICOM tree: their patients are still compared."""
    one, other = manifest_of(["table:P01", *[None] * 5]), manifest_of(["dicom:p01 ", *[None] * 5])
    sides = [
        (Manifest(manifest.table.iloc[[row]]), scene)
        for manifest, row in ((one, 0), (other, 0), (one, 5))
    ]
    found = leakage.between(sides[0], sides[1], ("t.csv", "t.csv"))
    assert {leak.kind for leak in found} == {"same bytes", "same patient"}
    assert {(leak.first_part, leak.second_part) for leak in found} == {("t.csv", "t.csv")}
    assert leakage.between(sides[0], sides[2], ("t.csv", "t.csv")) == []


def test_within_shows_contradictions(scene: Fingerprints) -> None:
    manifest = manifest_of(
        ["p", "q", None, "p", None, None],
        ["normal", "normal", "covid19", "normal", "normal", "normal"],
    )
    twins = leakage.within(manifest, scene).set_index(["first", "second"])
    assert list(twins.reset_index().columns) == list(leakage.TWIN_COLUMNS)
    assert twins["kind"].value_counts().to_dict() == {
        "near duplicate": 3,
        "same pixels": 2,
        "same bytes": 1,
    }
    assert twins["labels_differ"].to_dict() == {
        ("s0", "s1"): False,
        ("s0", "s2"): True,
        ("s0", "s3"): False,
        ("s1", "s2"): True,
        ("s1", "s3"): False,
        ("s2", "s3"): True,
    }
    assert (
        twins["patients_differ"].sum() == 2
    )  # s0 and s1, s1 and s3; the unknown contradict nobody


def test_within_a_clean_set_is_an_empty_table(scene: Fingerprints) -> None:
    table = manifest_of([None] * 6).table.iloc[4:]
    twins = leakage.within(Manifest(table), scene)
    assert len(twins) == 0
    assert list(twins.columns) == list(leakage.TWIN_COLUMNS)


def test_clusters_are_named_by_their_first_member(scene: Fingerprints) -> None:
    found = leakage.clusters(manifest_of([None] * 6), scene)
    assert found.to_dict() == {
        "s0": "s0", "s1": "s0", "s2": "s0", "s3": "s0", "s4": "s4", "s5": "s5",
    }  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_groups_equal_repeated_merging(links: list[tuple[int, int]]) -> None:
    names = [f"n{i}" for i in range(10)]
    merged = [{name} for name in names]
    for i, j in links:
        first, second = (next(s for s in merged if names[k] in s) for k in (i, j))
        if first is not second:
            merged.remove(second)
            first |= second
    found = leakage.groups(np.array(links, np.int64).reshape(-1, 2), names)
    assert found.to_dict() == {name: min(s) for s in merged for name in s}


def test_near_pairs_ask_for_both_measures(scene: Fingerprints) -> None:
    """The half-size copy is near; with either limit tightened beyond reach it is not."""
    assert (0, 3) in set(zip(*(near_pairs(scene).first, near_pairs(scene).second), strict=True))
    strict = near_pairs(scene, Nearness(correlation=1.0))
    assert set(zip(strict.first.tolist(), strict.second.tolist(), strict=True)) == {
        (0, 1), (0, 2), (1, 2),
    }  # fmt: skip
    assert strict.correlation.tolist() == [1.0, 1.0, 1.0]
    bits = hamming(scene.perceptual[:1], scene.perceptual[3:4])[0]
    pairs = near_pairs(scene)
    assert pairs.bits[(pairs.first == 0) & (pairs.second == 3)].tolist() == [bits]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32))
def test_near_pairs_equal_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    base = [picture(int(s)) for s in rng.integers(0, 50, 4)]
    noisy = [np.clip(p + rng.normal(0, s, p.shape), 0, 255).astype(np.uint8)
             for p in base for s in (0, 3, 15, 60)]  # fmt: skip
    prints = prints_of(noisy, "abcdefghijklmnop")
    flat = prints.thumbnails.reshape(len(noisy), -1).astype(float)
    alike = np.corrcoef(flat)
    expected = [pair for pair in brute(prints.perceptual, 16) if alike[pair] >= 0.98]
    found = near_pairs(prints)
    assert list(zip(found.first.tolist(), found.second.tolist(), strict=True)) == expected


def ingested(folder: Path) -> Side:
    taken = prepare_dataset(datasets.open_path(folder), ThumbnailOnly())
    return taken.manifest, taken.fingerprints


@pytest.fixture(scope="module")
def kermany(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HILUM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield ingested(shared / "chest_xray")


@pytest.mark.slow
def test_kermany_has_30_groups_of_duplicates_none_across_its_splits(kermany: Side) -> None:
    manifest, prints = kermany
    assert len(manifest.table) == 5856
    clusters = leakage.clusters(manifest, prints)
    assert clusters[clusters.duplicated(keep=False)].nunique() == 30
    assert leakage.find_leaks(splits.official(manifest, None, 0), manifest, prints) == []


@pytest.mark.slow
def test_the_624_test_images_of_study_003_are_in_its_pretraining_data(kermany: Side) -> None:
    """Zhang & Liu pre-train on all of Kermany's set and test on its test folder."""
    manifest, prints = kermany
    test = manifest.table[manifest.table["official_part"] == "test"]
    found = leakage.between((Manifest(test), prints), kermany)
    assert len({leak.first for leak in found if leak.kind == "same bytes"}) == 624


@pytest.mark.slow
def test_cohens_patients_share_images(shared: Path) -> None:
    """Four films stand under two patients, at other sizes: only clusters keep them together."""
    manifest, prints = ingested(shared / "covid-chestxray-dataset")
    twins = leakage.within(manifest, prints)
    near = twins[twins["kind"] == "near duplicate"]
    assert near["patients_differ"].sum() >= 4
    split = splits.kfold(manifest, 5, 0.15, 0, clusters=leakage.clusters(manifest, prints))
    assert leakage.find_leaks(split, manifest, prints) == []
