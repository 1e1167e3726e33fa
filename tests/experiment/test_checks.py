"""What cannot work is refused before any image is decoded, and the recipe's key is named."""

from pathlib import Path

import pandas as pd
import pytest

from hilum import experiment, recipes
from hilum.experiment import run as pipeline
from hilum.experiment import validate
from hilum.experiment.data_checks import ListedData
from hilum.models import hub
from hilum.types import HilumError, Manifest, MissingError, Split

FILMS = '{phantom={images=14, size=64, seed=3, classes=["covid19","normal"]}}'
TUNED = 'trainable="all", optimiser="adam"'
SLOW = ("prepare.side", "train.stages.freeze")  # they build networks: the tests of recipes do it


def silent(name: str):
    return lambda done, total: None


@pytest.fixture
def nothing_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object) -> None:
        pytest.fail("an image was decoded")

    monkeypatch.setattr(pipeline.prepared_dataset, "prepare_dataset", decode)
    monkeypatch.setattr(hub, "fetch", lambda repository, file: None)


def run(out: Path, *changes: str) -> None:
    base = ['classes=["covid19","normal"]', f"data=[{FILMS}]", "model.weights=random"]
    experiment.run_recipe(recipes.load_recipe("demo", changes=[*base, *changes]), None, out, silent)


@pytest.mark.parametrize(
    ("key", "changes", "said"),
    [
        ("classes", ['classes=["covid19"]'], "two different classes.*got covid19"),
        ("classes", ['classes=["a","a"]'], "two different classes.*got a, a"),
        ("model.backbone", ["model.backbone=resnet81"], "timm model; got 'resnet81'"),
        ("model.precision", ["model.precision=int8"], "int8 is now a precision of .hilum export."),
        ("model.head", ["model.head=linea"], "got 'linea'; did you mean 'linear'"),
        ("model.pool", ["model.pool=fc1"], "pool of tf_efficientnet_lite0.*got 'fc1'"),
        (
            "model.pool",
            ["model.backbone=elazhari_cnn", "model.head=wiklund2020"],
            "elazhari_cnn.*got 'flatten'",
        ),
        (
            "split.validation",
            ["split.validation=0"],
            "keeps the last; got 'head' with optimiser lbfgs, keep 'loss', patience 0 and no stop",
        ),
        (
            "split.validation",
            [
                "split.validation=0",
                'train.stages=[{optimiser="adam", keep="last", stop={accuracy=0.9}}]',
            ],
            "keep 'last', patience 0 and a stop rule; set keep = 'last' and no stop",
        ),
        ("train.stages", ["model.head=mlp"], "lbfgs fits a plain linear head.*got head 'mlp'"),
        (
            "train.balance",
            ["train.balance=sources", 'train.stages=[{optimiser="adam"}]'],
            "fitted to by lbfgs; got adam; choose weights",
        ),
        (
            "train.balance",
            ["train.balance=sources", "train.copies.times=2"],
            "got copies of images; choose weights",
        ),
        ("train.stages", ["train.cache=false"], "got head 'linear' and train.cache = false"),
        ("train.stages", [f"train.stages=[{{{TUNED}}}, {{}}]"], "before those of the backbone"),
        (
            "train.stages.freeze",
            [f'train.stages=[{{{TUNED}, freeze=["layer9"]}}]'],
            "must match a parameter; got 'layer9'",
        ),
        (
            "train.stages.freeze",
            [f'train.stages=[{{{TUNED}, freeze=["^net"]}}]'],
            "got none of .* parameters",
        ),
        ("train.stages.freeze", [f'train.stages=[{{{TUNED}, freeze=["("]}}]'], "got '\\('"),
        (
            "train.stages.freeze",
            ['train.stages=[{trainable="last", last=10, optimiser="adam"}]'],
            "has 9 stages; got 10",
        ),
        ("train.copies", ["train.copies={times=2, target=9}"], "times = 2 and target = 9"),
        ("train.copies", ["train.copies={times=2, ranges={flip=2}}"], "flip"),
        ("train.copies.classes", ['train.copies={times=2, classes=["x"]}'], "got 'x'"),
        ("augment", ["augment.flip=-1"], "flip"),
        ("prepare.steps", ['prepare.steps=[{step="leterbox"}]'], "did you mean 'letterbox'"),
        ("prepare.side", ["prepare.side=31"], "cannot take images of 31 x 31"),
        (
            "prepare.side",
            ["model.backbone=inception_v3", "prepare.side=74"],
            "inception_v3 cannot take images of 74 x 74",
        ),
        ("prepare.side", ["model.backbone=wiklund_fc", "prepare.side=96"], "224 x 224 pixels; got"),
        ("split", ["split.kind=official"], "publisher's part of every image; got none for 14"),
        ("split", ["split={kind='kfold', folds=9}"], "per class as folds"),
        ("data.take", ['data=[{path="PLACE", take={covid19=9}}]'], "needs 9 images.*got 8"),
        (
            "source_task",
            ['source_task={classes=["covid19","tb"], data=[{path="PLACE"}]}'],
            "none of tb",
        ),
        (
            "source_task",
            [
                'source_task={classes=["covid19","normal"], data=[{path="PLACE"}],'
                ' split={kind="official"}}'
            ],
            "publisher's part",
        ),
        (
            "source_task.train.stages.freeze",
            [
                'source_task={classes=["covid19","normal"], data=[{path="PLACE"}], train={stages='
                f'[{{{TUNED}, freeze=["layer9"]}}]}}}}'
            ],
            "got 'layer9'",
        ),
        ("train.balance", ["train.balance=smote", 'data=[{path="PLACE"}]'], "got 5 of 'normal'"),
    ],
)
def test_impossible_combinations_are_refused(
    nothing_decoded: None, tmp_path: Path, key: str, changes: list[str], said: str
) -> None:
    for name, count in (("covid19", 8), ("normal", 5)):
        for i in range(count):
            path = tmp_path / "mine" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"listed, never read")
    told = [change.replace("PLACE", str(tmp_path / "mine")) for change in changes]
    with pytest.raises(HilumError, match=said) as caught:
        run(tmp_path / "out", *told)
    assert key in str(caught.value)
    assert not isinstance(caught.value, MissingError)


def test_smote_of_one_class_names_smote() -> None:
    plan = recipes.load_recipe("demo", changes=['classes=["normal"]', "train.balance=smote"])
    rows = {key: row for key, row in validate.ALONE.items() if key == "train.balance"}
    with pytest.raises(HilumError, match=r"'train\.balance': SMOTE balances two classes or more"):
        validate._check_cells(plan, rows, (), {})


@pytest.mark.parametrize(
    "change",
    [
        "published=[{where='x', name='sensitivity', value=1, threshold=1.5}]",
        "train.stages=[{optimiser='adam', stop={accuracy=1.1}}]",
    ],
)
def test_thresholds_outside_0_to_1_are_refused(change: str) -> None:
    with pytest.raises(HilumError, match=r"'(published|train\.stages)\.0\.(threshold|stop).*got 1"):
        recipes.load_recipe("demo", changes=[change])


def test_missing_weights_are_told_before_any_image_is_decoded(
    nothing_decoded: None, tmp_path: Path
) -> None:
    for cells in (["model.backbone=resnet18"], ['grid={"model.backbone"=["vgg16","resnet18"]}']):
        with pytest.raises(MissingError, match=r"'model\.weights': ImageNet weights.*--weights"):
            run(tmp_path / "out", "model.weights=imagenet", *cells)
    with pytest.raises(MissingError, match=r"'model\.weights'.*does not exist"):
        run(tmp_path / "out", "model.weights=nowhere.safetensors")


def test_a_cell_without_weights_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "fetch", lambda repository, file: None)
    grid = 'grid={"model.backbone"=["tf_efficientnet_lite0","resnet18"], "seeds"=[[0],[1]]}'
    plan = recipes.load_recipe("demo", changes=[grid])
    table = pd.DataFrame({"sample_id": list("abcdefghijkl"), "label": ["a", "b"] * 6})
    table = table.assign(patient_id=table["sample_id"], modality="X-ray", official_part=None)
    known = ListedData(Manifest(table), ["a", "b"], (None, Path()))
    refused = validate.check_manifest(plan, known, validate.check_recipe(plan))
    assert list(refused) == ["backbone=resnet18,seeds=0", "backbone=resnet18,seeds=1"]
    assert "hub cannot be reached; download model.safetensors" in str(refused.popitem()[1])


def test_what_smote_lacks_only_the_split_can_tell() -> None:
    plan = recipes.load_recipe("demo", changes=["train.balance=smote"])
    ids = [f"i{i}" for i in range(20)]
    labels = ["normal"] * 13 + ["covid19"] * 7
    table = pd.DataFrame({"sample_id": ids, "label": labels})
    parts = pd.DataFrame({"sample_id": ids, "fold": 0, "part": ["train"] * 18 + ["test"] * 2})
    known = ListedData(Manifest(table), ["normal", "covid19"], (None, Path()))
    assert not validate._check_cells(plan, {"x": validate.LISTED["train.balance"]}, (known,), {})
    split = Split(parts, "holdout", "image", 0)
    known = ListedData(known.manifest, known.classes, known.where, {0: split})
    with pytest.raises(HilumError, match=r"got 5 of 'covid19' left to train in fold 0.*only the"):
        validate.check_splits(plan, known, {})


def test_radiographs_and_ct_are_not_mixed_by_chance() -> None:
    table = pd.DataFrame({"modality": ["CT"] * 3 + ["X-ray"] * 2 + [None]})
    known = ListedData(Manifest(table), ["a", "b"], (None, Path()))
    rows = {"modalities": validate.LISTED["modalities"]}
    with pytest.raises(HilumError, match=r"'modalities': .*got 3 of CT and 2 of X-ray images"):
        validate._check_cells(recipes.load_recipe("demo"), rows, (known,), {})
    mixed = recipes.load_recipe("demo", changes=["modalities=mixed"])
    assert validate._check_cells(mixed, rows, (known,), {}) == {}


@pytest.mark.parametrize(
    ("kind", "modality", "refused"),
    [("radiograph", "CT", True), ("ct", "X-ray", True), ("ct", "CT", False), ("ct", None, False)],
)
def test_lungs_are_looked_for_in_images_of_their_kind(
    kind: str, modality: str | None, refused: bool
) -> None:
    known = ListedData(Manifest(pd.DataFrame({"modality": [modality] * 3})), ["a"], (None, Path()))
    steps = f'prepare.steps=[{{step="crop_lungs", kind="{kind}"}}, {{step="letterbox"}}]'
    rows = {"prepare.steps": validate.LISTED["prepare.steps"]}
    plan = recipes.load_recipe("demo", changes=[steps])
    if not refused:
        assert validate._check_cells(plan, rows, (known,), {}) == {}
        return
    with pytest.raises(HilumError, match=rf"crop_lungs with kind '{kind}'.*got {modality}; set"):
        validate._check_cells(plan, rows, (known,), {})


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", recipes.recipe_names())
@pytest.mark.parametrize("mode", ["published", "corrected"])
def test_no_recipe_of_ours_is_refused(name: str, mode: recipes.Mode, quick: bool) -> None:
    rows = {key: row for key, row in validate.ALONE.items() if key not in SLOW}
    assert validate._check_cells(recipes.load_recipe(name, mode, quick), rows, (), {}) == {}
