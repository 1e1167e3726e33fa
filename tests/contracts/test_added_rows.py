"""A made-up row of a table arrives everywhere, and nothing else has to know of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import brevity
from hilum import audits, datasets, preprocess, recipes
from hilum.audits import AUDITS, Audit, AuditRule, Evidence, c15_lesion_localisation
from hilum.audits import registry as audit_registry
from hilum.cli import main  # noqa: F401 - registers the commands
from hilum.cli.app import app
from hilum.datasets.assemble import assemble
from hilum.datasets.base import Dataset, DatasetCard
from hilum.datasets.layout import has, match_paths, walk
from hilum.datasets.registry import DATASETS
from hilum.datasets.tally import Tally
from hilum.experiment import context, dataset, summary, validate
from hilum.inference import model as models
from hilum.inference import model_folder
from hilum.inference.model import ModelMetadata, TrainedModel
from hilum.models import backbones
from hilum.models.numpy_head import NumpyHead, Standardise
from hilum.preprocess import STEPS, Pipeline
from hilum.preprocess.geometry import Letterbox
from hilum.preprocess.step import Movement, Size
from hilum.types import (
    PREDICTION_COLUMNS,
    Finding,
    GreyImage,
    HilumError,
    Manifest,
    MissingError,
    Score,
)


def hilum(*words: str | Path) -> Result:
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 0, done.output
    return done


def silent(name: str) -> Callable[[int, int], None]:
    return lambda done, total: None


def write_films(root: Path, folders: tuple[str, str], count: int = 4) -> Path:
    """Grey noise in class folders, each file of another patient."""
    random = np.random.default_rng(0)
    for folder in folders:
        (root / folder).mkdir(parents=True)
        for i in range(count):
            film = random.integers(0, 256, (60, 40), np.uint8)
            assert cv2.imwrite(str(root / folder / f"patient{folder}{i}.png"), film)
    return root


# --- a dataset ------------------------------------------------------------------------------------

CARD = DatasetCard(
    name="valley", title="Valley clinic", folder="valley-clinic", licence="CC0",
    citation="Nobody 2026", homepage="https://example.org", access="Ask the valley's clinic.",
    modality="X-ray", label_map={"sick": "covid19", "well": "normal"}, population="children",
    single_age="children", patient_ids=False, mixes=("cohen",),
)  # fmt: skip


def read_valley(folder: Path) -> Manifest:
    tally = Tally()
    rows = match_paths(walk(folder, tally), r"(?P<finding>sick|well)/[^/]+", tally)
    rows = rows.assign(label=rows["finding"].map(CARD.label_map))
    return assemble(CARD, folder, rows, tally, ("The valley names no patient.",))


@pytest.fixture
def valley(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder for --data that holds the dataset."""
    row = Dataset(CARD, lambda folder: has(folder, "sick", "well"), read_valley)
    monkeypatch.setitem(DATASETS, "valley", row)
    write_films(tmp_path / "data" / CARD.folder, ("sick", "well"))
    return tmp_path / "data"


@pytest.fixture
def of_the_valley(valley: Path, tmp_path: Path) -> recipes.Recipe:
    file = tmp_path / "valley.toml"
    file.write_text('name = "valley"\n[[data]]\ncard = "valley"\n')
    return recipes.load_recipe(str(file))


@pytest.mark.usefixtures("valley")
def test_a_dataset_is_listed() -> None:
    listed = {row["name"]: row for row in json.loads(hilum("data", "list", "--json").stdout)}
    assert listed["valley"]["citation"] == "Nobody 2026"
    assert "valley" in hilum("data", "list").stdout


def test_a_dataset_is_found_by_name_and_by_what_lies_in_a_folder(valley: Path) -> None:
    by_name = datasets.read("valley", valley)
    by_place = datasets.open_path(valley / CARD.folder)
    pd.testing.assert_frame_equal(by_name.table, by_place.table)
    assert by_name.table["label"].value_counts().to_dict() == {"covid19": 4, "normal": 4}
    with pytest.raises(HilumError, match="did you mean 'valley'"):
        datasets.read("vally", valley)


def test_a_recipe_reads_a_dataset(
    of_the_valley: recipes.Recipe, valley: Path, tmp_path: Path
) -> None:
    assert not validate.check_recipe(of_the_valley)
    table = dataset.load_manifest(of_the_valley, valley, tmp_path / "out", silent).table
    assert (table["dataset"] == "valley").all()
    assert len(table) == 8
    with pytest.raises(MissingError, match="valley-clinic/ with --data"):
        dataset.load_manifest(of_the_valley, None, tmp_path / "out", silent)
    (item,) = of_the_valley.data
    wrong = of_the_valley.model_copy(update={"data": [item.model_copy(update={"card": "vally"})]})
    with pytest.raises(HilumError, match="did you mean 'valley'"):
        dataset.load_manifest(wrong, None, tmp_path / "out", silent)


def test_a_run_knows_of_a_dataset_what_its_card_says(
    of_the_valley: recipes.Recipe, valley: Path, tmp_path: Path
) -> None:
    found = dataset.load_manifest(of_the_valley, valley, tmp_path / "out", silent)
    (about,) = summary.data(found)["sets"]
    assert (about["title"], about["population"]) == ("Valley clinic", "children")
    assert summary.populations()["valley"] == "children"


# --- a step ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mirror:
    """The image mirrored left to right, its outermost columns cut off."""

    margin: int = 0
    name: ClassVar[str] = "mirror_image"
    moves_pixels: ClassVar[Movement] = "by size"

    def __call__(self, pixels: GreyImage) -> GreyImage:
        return pixels[:, self.margin : pixels.shape[1] - self.margin][:, ::-1]

    def size(self, before: Size | None) -> Size | None:
        return None if before is None else (before[0], before[1] - 2 * self.margin)

    def side_needed(self, after: int | None) -> int | None:
        return None


BLOCK = [{"step": "mirror_image", "margin": 3}, {"step": "resize", "side": 32}]


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> type[Mirror]:
    monkeypatch.setitem(STEPS, "mirror_image", Mirror)
    return Mirror


def model_of(pipeline: Pipeline) -> TrainedModel:
    """An untrained network, which needs no weights."""
    head = NumpyHead(Standardise.none(64), ((np.ones((2, 64)), np.zeros(2)),))
    origin = {"cell": "main", "seed": 0, "fold": 0, "images": {}, "engine": "numpy"}
    facts = ModelMetadata(["covid19", "normal"], "unit", "fp32", mirror=False, provenance=origin)
    return models.compile_model(
        facts, pipeline, backbones.build_backbone("wiklund_fc", "random"), head
    )


@pytest.mark.usefixtures("mirror")
def test_a_step_can_be_named_in_a_recipe(tmp_path: Path) -> None:
    file = tmp_path / "mirrored.toml"
    file.write_text(
        'name = "mirrored"\n[[data]]\ncard = "cohen"\n[prepare]\n'
        'steps = [{step = "mirror_image", margin = 3}, {step = "letterbox"}]\n'
    )
    plan = recipes.load_recipe(str(file))
    assert not validate.check_recipe(plan)
    steps = context.prepared(plan.prepare, plan.model.backbone).steps
    assert steps[0] == Mirror(margin=3)
    wrong = [{"step": "mirror_image", "margn": 3}, {"step": "letterbox"}]
    with pytest.raises(HilumError, match="did you mean 'margin'"):
        preprocess.from_list(wrong)


@pytest.mark.usefixtures("mirror")
def test_a_step_can_be_named_on_the_command_line(tmp_path: Path) -> None:
    folder = write_films(tmp_path / "films", ("sick", "well"), count=1)
    hilum("prepare", folder, "--steps", "mirror_image:margin=2", "--out", tmp_path / "out")
    name = "sick/patientsick0.png"
    before = cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE)
    after = cv2.imread(str(tmp_path / "out" / "images" / name), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(after, before[:, 2:-2][:, ::-1])


@pytest.mark.usefixtures("mirror")
def test_a_step_travels_with_the_weights(tmp_path: Path) -> None:
    steps = [{"step": "mirror_image", "margin": 3}, {"step": "resize", "side": 224}]
    folder = model_folder.save_trained_model(
        model_of(preprocess.from_list(steps)), tmp_path / "model"
    )
    stored = json.loads((folder / "model.json").read_text())["preparation"]
    assert stored["steps"] == steps
    assert model_folder.load_trained_model(folder).pipeline.steps[0] == Mirror(margin=3)


def test_heat_is_compared_with_lesions_where_a_step_leaves_them(
    mirror: type[Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    """C-15 moves a lesion's mask as it moved, or says why it cannot."""
    pipeline = preprocess.from_list([{"step": "clahe"}, *BLOCK])
    place = c15_lesion_localisation.geometry(pipeline)
    assert [step.name for step in place.steps] == ["mirror_image", "resize"]
    lesion = np.zeros((64, 70), np.uint8)
    lesion[:, :20] = 255
    assert (place(lesion)[:, -6:] == 255).all()
    assert (place(lesion)[:, :20] == 0).all()
    monkeypatch.setattr(mirror, "moves_pixels", "never")
    assert [s.name for s in c15_lesion_localisation.geometry(pipeline).steps] == ["resize"]
    monkeypatch.setattr(mirror, "moves_pixels", "by content")
    with pytest.raises(HilumError, match="mirror_image moves pixels depending on"):
        c15_lesion_localisation.geometry(pipeline)


def test_bars_beside_a_film_are_no_lesion() -> None:
    place = c15_lesion_localisation.geometry(Pipeline((Letterbox(64, fill=200),)))
    assert place(np.zeros((30, 60), np.uint8)).max() == 0


# --- an audit -------------------------------------------------------------------------------------

RULE = AuditRule(
    id="C-99",
    title="Air of the valley",
    rule="any image of the valley fails",
    source="Nobody 2026",
    severity=1 + max(row.rule.severity for row in AUDITS.values()),
)


def air(evidence: Evidence) -> Finding:
    return RULE.finding("fail", float(len(evidence.manifest)), "The valley's air tells the label.")


def added(monkeypatch: pytest.MonkeyPatch, rule: AuditRule) -> None:
    """The row, beside the few audits that read tables alone."""
    monkeypatch.setitem(AUDITS, rule.id, Audit(rule, air))
    few = (*brevity.OF_TABLES, rule.id)
    monkeypatch.setattr(audit_registry, "AUDITS", {name: AUDITS[name] for name in few})


def evidence() -> Evidence:
    """Two images of which nothing is known but their names and labels."""
    blank = dict.fromkeys(("source", "patient_id", "age", "modality", "dataset", "path", "sha256"))
    table = pd.DataFrame({"sample_id": ["a", "b"], "label": ["covid19", "normal"], **blank})
    rows = pd.DataFrame(columns=[*PREDICTION_COLUMNS, "p_covid19", "p_normal"])
    return Evidence(["covid19", "normal"], table, rows)


ACCURACY = Score("main", "accuracy", "overall", 0.9, 9, 10, 0.8, 1.0, "wilson")


@pytest.mark.parametrize(("severity", "place"), [(1000, 0), (215, 3), (-1, -1)])
def test_an_audit_is_reported_by_its_severity(
    severity: int, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among C-11 (260), C-10, C-02, C-03 and C-17: first, between, or last."""
    added(monkeypatch, replace(RULE, severity=severity))
    findings = audits.run_audits(evidence())
    order = [one.id for one in findings]
    assert order[place] == "C-99"
    fails = [replace(one, status="fail", sentence=f"{one.id} is wrong.") for one in findings]
    verdict = audits.verdict([ACCURACY], fails[::-1])
    titles = [audits.AUDITS[name].rule.title for name in order]
    assert verdict.startswith(f"Do not trust this classifier yet: {ACCURACY.value:.1%}")
    assert f"but {order[0].lower()} is wrong. " in verdict
    assert "(" + "; ".join(t[0].lower() + t[1:] for t in titles[1:]) + ")" in verdict


def test_an_audit_is_run_when_its_rule_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "C-99" not in {one.id for one in audits.run_audits(evidence())}
    added(monkeypatch, replace(RULE, expensive=True))
    assert audits.not_run(audits.run_audits(evidence())) == ["C-99 (Air of the valley)"]
    assert "C-99" in {one.id for one in audits.run_audits(replace(evidence(), thorough=True))}
    added(monkeypatch, replace(RULE, before_training=True))
    early = audits.run_before_training(evidence())
    assert "C-99" in {one.id for one in early}
    (stamped,) = audits.mark_scores([ACCURACY], early, ["main"])
    assert stamped.stamp.startswith("fail: C-99")
    added(monkeypatch, replace(RULE, whole_set=True))
    few = audits.verdict([ACCURACY], audits.run_audits(evidence()), {"covid19": 5, "normal": 5})
    assert few.startswith("Do not trust this classifier yet")


def test_the_command_writes_an_audit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    added(monkeypatch, RULE)
    pipeline = preprocess.from_list([{"step": "resize", "side": 224}])
    folder = model_folder.save_trained_model(model_of(pipeline), tmp_path / "model")
    films = write_films(tmp_path / "films", ("covid19", "normal"))
    with brevity.no_figures():
        done = hilum("audit", folder, "--data", films, "--out", tmp_path / "out", "--json")
    results = json.loads(done.stdout)
    assert results["audits"][0]["id"] == "C-99"
    assert results["audits"][0]["value"] == 8
    assert "the valley's air tells the label" in results["verdict"]
    assert pd.read_csv(tmp_path / "out" / "findings.csv")["id"][0] == "C-99"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.index("Air of the valley") < page.index(AUDITS["C-17"].rule.title)
