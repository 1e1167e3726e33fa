"""Counts, not times: a cache that silently stops working shows here.

Decodes per image, bytes read per image, and passes through the backbone per image and view.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import hilum
from cold_cache import begin_cold
from hilum import images, phantom, preprocess, progress, recipes, report
from hilum.audits import AUDITS, registry
from hilum.data import duplicates, pixel_store, prepared_dataset
from hilum.experiment import cell_features, predict, tasks
from hilum.experiment.cell_context import CellContext
from hilum.explain.writer import HeatmapRequest
from hilum.inference import model as models
from hilum.inference import model_folder
from hilum.models import backbones
from hilum.models.numpy_head import NumpyHead, Standardise
from hilum.models.runtime.base import Progress, Runtime, RuntimeInfo
from hilum.models.runtime.openvino import OpenVinoRuntime
from hilum.preprocess.lungs import segmenter
from hilum.types import Floats, Grey8, Image, Manifest, Pixels

COUNT, SIDE, VIEWS = 12, 64, 3
PIPELINE = preprocess.from_list([{"step": "resize", "side": SIDE}])
HEAVY = ("torch", "timm", "scipy", "sklearn", "pydicom", "captum", "matplotlib")
OF_FILMS = ("C-06", "C-10", "C-11", "C-15", "C-22")  # audits that read films, or look for twins
COUNTERS = Path("/proc/self/io")


@dataclass
class Counter(Runtime):
    """A network whose features are the image's mean and spread, and which counts its images."""

    facts: RuntimeInfo = field(
        default_factory=lambda: RuntimeInfo("openvino", "cpu", "fp32", (SIDE, SIDE), 2)
    )
    passes: int = 0

    def _fill(self, images: Iterator[Grey8], out: Floats, progress: Progress) -> int:
        done = 0
        for done, image in enumerate(images, 1):
            out[done - 1] = image.mean(), image.std()
        self.passes += done
        return done


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return phantom.write_phantom(
        phantom.Request(images=COUNT, size=128), tmp_path_factory.mktemp("films")
    )


@pytest.fixture(autouse=True)
def cold_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin_cold(monkeypatch, tmp_path / "cache")  # networks are not what is counted


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every path that is decoded, in turn."""
    seen: list[str] = []
    true = images.read

    def read(path: str | Path, at_least: int | None = None, **kept: bool) -> Image:
        seen.append(str(path))
        return true(path, at_least, **kept)

    monkeypatch.setattr(images, "read", read)
    return seen


def test_each_image_is_decoded_once_and_never_again(films: Manifest, decoded: list[str]) -> None:
    prepared_dataset.prepare_dataset(films, PIPELINE)
    assert sorted(decoded) == sorted(films.table["path"])
    prepared_dataset.prepare_dataset(films, PIPELINE)
    assert len(decoded) == COUNT


@pytest.mark.skipif(not COUNTERS.is_file(), reason="Linux counts the bytes that a process reads")
def test_a_file_is_read_twice_at_first_and_then_once(films: Manifest) -> None:
    size = sum(os.path.getsize(path) for path in films.table["path"])  # noqa: PTH202
    prepared_dataset.prepare_dataset(
        films, preprocess.from_list([{"step": "resize", "side": 32}])
    )  # imports are done
    begin = _bytes_read()
    prepared_dataset.prepare_dataset(films, PIPELINE)
    first = _bytes_read() - begin
    prepared_dataset.prepare_dataset(films, PIPELINE)
    second = _bytes_read() - begin - first
    # hashed, then decoded, which hashes the bytes in hand; later only hashed
    assert 2 * size <= first < 2.5 * size
    stored = COUNT * (SIDE * SIDE + pixel_store.RECORD.itemsize)  # read to be checked
    assert size <= second - stored < 1.5 * size


def _bytes_read() -> int:
    return int(COUNTERS.read_text().split()[1])  # rchar: what read() returned, from disk or cache


def test_the_backbone_runs_once_per_image_and_view(films: Manifest) -> None:
    bench, runtime = _bench(films)
    rows = np.arange(8)
    for _ in range(2):  # what was computed once is read back
        plain, mirror = cell_features.features(bench), cell_features.mirrored_features(bench)
        views = cell_features.arrays(cell_features.augmented(bench, 0, rows))
        assert runtime.passes == 2 * COUNT + VIEWS * len(rows)
    assert plain.shape == mirror.shape == (COUNT, 2)
    assert len(views) == VIEWS
    cell_features.arrays(
        cell_features.augmented(bench, 1, rows)
    )  # another seed draws other views of the same images
    assert runtime.passes == 2 * COUNT + 2 * VIEWS * len(rows)


def test_real_images_are_not_computed_again_beside_synthetic_ones(films: Manifest) -> None:
    bench, runtime = _bench(films)
    stack, ids = bench.pixels.stack, bench.pixels.sample_ids
    cell_features.features(bench)
    for number in (1, 2):  # two folds, each with synthetic images of its own
        more = np.full((number, SIDE, SIDE), 7 * number, np.uint8)
        names = (*ids, *(f"made {number}.{i}" for i in range(number)))
        pixels = Pixels(np.concatenate([stack, more]), names, f"{bench.pixels.digest} {number}")
        labels = np.zeros(COUNT + number, np.int64)
        longer = replace(bench, pixels=pixels, labels=labels, before=bench)
        found = cell_features.features(longer)
        np.testing.assert_array_equal(found[:, 0], pixels.stack.mean((1, 2)).astype(np.float32))
    assert runtime.passes == COUNT + 1 + 2


def _bench(films: Manifest) -> tuple[CellContext, Counter]:
    taken, runtime = prepared_dataset.prepare_dataset(films, PIPELINE), Counter()
    plan = recipes.load_recipe("demo", changes=[f"augment.views={VIEWS}"])
    labels = np.zeros(COUNT, np.int64)
    backbone = backbones.build_backbone("tf_efficientnet_lite0")
    made = CellContext(
        plan, ["covid19"], taken.manifest, taken.pixels, PIPELINE, backbone, "signed", runtime,
        lambda name: lambda done, total: None, labels,
    )  # fmt: skip
    return made, runtime


@pytest.mark.usefixtures("small_samples")
@pytest.mark.parametrize("folds", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_cells_network_is_built_and_compiled_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folds: int
) -> None:
    """From training over the model that is read back to its audits; however many folds.

    The model that is read back is rebuilt once, from its own file: heat maps want its layers. They
    come from a further network, which gives the last map beside the features.
    """
    monkeypatch.setattr(report, "build_report", lambda out: out / "report.html")
    built: list[str] = []
    rebuilt: list[str] = []
    compiled: list[tuple[Path, bool]] = []
    build, rebuild, compile_it = (
        backbones.build_backbone,
        backbones.rebuild_backbone,
        OpenVinoRuntime.__init__,
    )

    def counted_build(name: str, *rest: object, **named: object) -> object:
        built.append(name)
        return build(name, *rest, **named)  # type: ignore[arg-type]

    def counted_rebuild(record: dict[str, str], state: object) -> object:
        rebuilt.append(record["name"])
        return rebuild(record, state)  # type: ignore[arg-type]

    def counted_compile(self: object, path: Path, *rest: object, alone: bool = False) -> None:
        compiled.append((path, alone))
        compile_it(self, path, *rest, alone=alone)  # type: ignore[misc,arg-type]

    monkeypatch.setattr(backbones, "build_backbone", counted_build)
    monkeypatch.setattr(backbones, "rebuild_backbone", counted_rebuild)
    monkeypatch.setattr(OpenVinoRuntime, "__init__", counted_compile)
    split = f"split={{kind='kfold', folds={folds}}}" if folds > 1 else "split.kind=holdout"
    data = "data=[{phantom={images=36, size=96, seed=3, classes=['covid19','normal']}}]"
    changes = ["classes=['covid19','normal']", data, split, "augment.views=0", "figures=[]"]
    recipe = recipes.load_recipe("demo", changes=changes)
    tasks.run_into(recipe, None, tmp_path / "out", lambda name: lambda done, total: None)
    assert built == ["tf_efficientnet_lite0"]
    assert len(rebuilt) <= 1
    assert len(compiled) == len(set(compiled))


def test_a_second_prediction_loads_no_network_library(films: Manifest, tmp_path: Path) -> None:
    """Nor does looking for lungs: both networks lie converted in the cache."""
    head = NumpyHead(Standardise.none(64), ((np.ones((2, 64)), np.zeros(2)),))
    facts = models.ModelMetadata(["covid19", "normal"], "unit", "fp32", mirror=True)
    network = backbones.build_backbone("wiklund_fc", "random")
    pipeline = preprocess.from_list([{"step": "letterbox", "side": 224}])
    folder = model_folder.save_trained_model(
        models.compile_model(facts, pipeline, network, head), tmp_path / "model"
    )
    weights = Path(str(resources.files("hilum.preprocess.lungs"))) / segmenter.WEIGHTS
    model_folder.load_trained_model(folder)
    segmenter.stored(weights)
    film, out = films.table["path"].iloc[0], tmp_path / "preds.csv"
    code = (
        "import sys; from pathlib import Path; from hilum.experiment import predict_files;"
        f"predict_files(Path({str(folder)!r}), [Path({film!r})], Path({str(out)!r}),"
        " lambda name: lambda done, total: None);"
        f"from hilum.preprocess.lungs import segmenter; segmenter.stored(Path({str(weights)!r}));"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", done.stderr
    assert len(out.read_text().splitlines()) == 2


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each search for near duplicates went through, in turn."""
    seen: list[int] = []
    true = duplicates.within_radius

    def search(hashes: npt.NDArray[np.uint8], radius: int) -> npt.NDArray[np.int64]:
        seen.append(len(hashes))
        return true(hashes, radius)

    monkeypatch.setattr(duplicates, "within_radius", search)
    return seen


def _class_folders(home: Path, count: int, seed: int) -> Path:
    """Films without patients, as most class folders are."""
    request = phantom.Request(images=count, size=128, classes=("covid19", "normal"), seed=seed)
    for i, row in enumerate(phantom.write_phantom(request, home / "made").table.itertuples()):
        target = home / "films" / str(row.label) / f"film{i}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Path(str(row.path)).rename(target)
    return home / "films"


@pytest.mark.slow
@pytest.mark.usefixtures("small_samples")
def test_a_film_is_decoded_once_whoever_looks_at_it_later(
    tmp_path: Path,
    decoded: list[str],
    searches: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Training, detector, audits, gallery, heat maps; then `hilum audit` and a second run."""
    only = {name: AUDITS[name] for name in OF_FILMS}
    monkeypatch.setattr(registry, "AUDITS", only)
    films, out = _class_folders(tmp_path, 32, seed=1), tmp_path / "run"
    two_folds = ["split={kind='kfold', folds=2}", "augment.views=1"]
    hilum.train(films, out, changes=two_folds)
    assert sorted(decoded) == sorted(map(str, films.rglob("*.png")))
    assert searches == [32]
    assert (out / "figures" / "heatmaps.npz").is_file()
    assert any((out / "figures" / "thumbnails").iterdir())
    decoded.clear()
    hilum.audit(out, out=tmp_path / "audit")
    hilum.train(films, tmp_path / "again", changes=two_folds)
    assert decoded == []
    assert searches == [32] * 3

    others = _class_folders(tmp_path / "other", 6, seed=2)
    hilum.evaluate(out, others, tmp_path / "test")
    assert sorted(decoded) == sorted(map(str, others.rglob("*.png")))
    decoded.clear()
    predict.predict_files(
        out, [others], tmp_path / "preds.csv", progress.silent, heatmaps=tmp_path / "maps"
    )
    assert sorted(decoded) == sorted(map(str, others.rglob("*.png")))
    decoded.clear()
    predict.explain_files(out, [others], tmp_path / "explained", HeatmapRequest(), progress.silent)
    assert sorted(decoded) == sorted(map(str, others.rglob("*.png")))


def test_films_are_decoded_in_few_places() -> None:
    """Whoever wants a film asks the source images for it; these decode what nobody has yet."""
    source = Path(hilum.__file__).parent
    readers = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if re.search(r"\bimages\.read\(", path.read_text("utf-8"))
    }
    assert readers == {
        "data/decoded_film.py",
        "data/source_images.py",
        "inference/answer.py",  # films that are asked about once
        "interop/film_loader.py",  # the same, by MONAI
        "dicom/source.py",  # a film whose results go back into its study
        "audits/c15_lesion_localisation.py",  # outlines of lesions, no films
        "preprocess/marker_steps.py",  # donors of markers, no films of the run
        "experiment/prepare.py",  # the few films of its contact sheet
        "experiment/prepare_film.py",  # `hilum prepare` writes what it decodes
        "experiment/segmentation_data.py",
        "experiment/segmentation_fold.py",
        "experiment/speed.py",  # the few films that a dry run times
        "report/segmentation.py",
        "serve/decoding.py",  # films that are sent and never kept
        "node/reading.py",  # the same, sent by a DICOM peer
    }
