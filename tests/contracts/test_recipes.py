"""Every recipe names only what exists, and prints the paper's numbers as the paper does."""

import itertools
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from hilum import preprocess, recipes
from hilum.augment import sample
from hilum.augment.sample import AugmentationRanges
from hilum.datasets.registry import DATASETS
from hilum.experiment import cell_context, cell_network, schema_to_training, validate
from hilum.models import freezing, heads, weights_keras
from hilum.models.backbone import Backbone
from hilum.models.cards import BACKBONES, BackboneCard, known_card
from hilum.models.heads import HeadPlan
from hilum.models.normalise import NORMALISE
from hilum.models.weights import Weights
from hilum.recipes import Mode, Recipe
from hilum.report import grid_tables
from hilum.report.figures.registry import asked_figures

STUDIES = ("elazhari2022", "wiklund2020", "cuijpers2020", "zhang2022", "yamani2021")
VARIANTS = list(itertools.product(("published", "corrected"), (False, True)))
SWEEP = "tasks.freezing_sweep"
FREEZING = ("all frozen", "convolutions frozen", "no dense layers")
CONVOLUTION = 512 * 512 * 9 + 512  # parameters of each of VGG16's last three
DENSE = [(512 * 49 + 1) * 4096, 4097 * 4096, 4097 * 1000]
FEATURES = (25088, 4096, 4096, 1000)  # that the two-class layer takes, by dense layers kept
EMBEDDED = {name for name, card in BACKBONES.items() if card.embedded or card.own}

# study 002, Table 2: precision, recall, F1 of COVID-19 and of NORMAL, accuracy; by hand
TABLE_2 = {
    "inception_v3": (0.93, 0.60, 0.72, 0.94, 0.99, 0.97, 0.94),
    "inception_resnet_v2": (0.96, 0.64, 0.77, 0.95, 1.00, 0.97, 0.95),
    "resnetv2_101": (0.97, 0.88, 0.93, 0.98, 1.00, 0.99, 0.98),
    "densenet201": (0.93, 0.90, 0.92, 0.99, 0.99, 0.99, 0.98),
}
COUNTS_2 = {  # TP, FP, FN, TN of the same table
    "inception_v3": (25, 2, 17, 280),
    "inception_resnet_v2": (27, 1, 15, 281),
    "resnetv2_101": (37, 1, 5, 281),
    "densenet201": (38, 3, 4, 279),
}
SCORES_2 = [
    *(("precision", "covid19"), ("sensitivity", "covid19"), ("f1", "covid19")),
    *(("precision", "normal"), ("sensitivity", "normal"), ("f1", "normal")),
    ("accuracy", "overall"),
]
# study 004, Table 1: threshold, sensitivity, specificity
TABLE_1 = ((0.10, 1.0, 0.725), (0.15, 0.976, 0.899), (0.20, 0.943, 0.919), (0.25, 0.9, 0.956))
# study 000, section 3.1.6: whose, name, class, value
SECTION_316 = {
    ("DenseNet121, both patterns", "accuracy", "overall", 0.98),
    ("ResNet-50, both patterns", "accuracy", "overall", 0.98),
    ("DenseNet121", "sensitivity", "covid19", 1.0),
    ("ResNet-50", "precision", "covid19", 0.96),
    ("VGG16", "precision", "covid19", 0.95),
    ("deep CNN of Table 1", "sensitivity", "non_covid", 0.72),
}


def every() -> list[tuple[str, Recipe]]:
    return [
        (name, recipes.load_recipe(name, *variant))
        for name in recipes.recipe_names()
        for variant in VARIANTS
    ]


def cells(name: str, mode: Mode = "published", quick: bool = False) -> list[Recipe]:
    return list(recipes.cells(recipes.load_recipe(name, mode, quick)).values())


def test_every_study_has_its_recipe() -> None:
    assert set(STUDIES) <= set(recipes.recipe_names())
    numbers = [recipes.load_recipe(name).paper.study for name in STUDIES]
    assert numbers == ["000", "001", "002", "003", "004"]


@pytest.mark.parametrize("mode", ["published", "corrected"])
@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", recipes.recipe_names())
def test_whatever_a_recipe_names_exists(name: str, mode: Mode, quick: bool) -> None:
    loaded = recipes.load_recipe(name, mode, quick)
    assert set(loaded.figures) <= set(asked_figures())
    assert {item.card for item in loaded.data if item.card} <= set(DATASETS)
    for cell in recipes.cells(loaded).values():
        row = known_card(cell.model.backbone)
        assert row is not None
        assert not (row.own and cell.model.weights == "imagenet"), "never trained on ImageNet"
        steps = preprocess.with_side(cell.prepare.steps, cell.prepare.side or row.side)
        prepared = preprocess.from_list(steps).shape
        assert not row.own or prepared == (row.side, row.side)
        plan = schema_to_training.head_plan(cell.model)
        cell_context.ranges(cell.augment)  # refuses what is out of bounds
        for stage in cell.train.stages:
            assert stage.optimiser != "lbfgs" or plan.plain
            assert stage.last <= len(row.stages)
        copies = cell.train.copies
        assert copies is None or (copies.times > 0) != (copies.target > 0)
        cell_context.ranges(copies.ranges if copies else cell.augment)


@pytest.mark.parametrize("mode", ["published", "corrected"])
@pytest.mark.parametrize("name", ["elazhari2022", "wiklund2020", "cuijpers2020", "yamani2021"])
def test_quick_needs_no_weights_but_those_that_come_with_hilum(name: str, mode: Mode) -> None:
    small, whole = cells(name, mode, quick=True), cells(name, mode)
    assert {cell.model.backbone for cell in small} <= EMBEDDED
    assert len(small) <= len(whole)
    assert not {cell.model.backbone for cell in whole} <= EMBEDDED


@pytest.mark.parametrize("name", STUDIES)
def test_the_published_mode_is_not_the_corrected_one(name: str) -> None:
    published, corrected = (
        recipes.load_recipe(name, "published"),
        recipes.load_recipe(name, "corrected"),
    )
    assert published.data == corrected.data
    assert published.published == corrected.published
    assert not published.model.mirror
    assert corrected.model.mirror
    assert corrected.split.group in ("patient", "cluster")
    assert published.limits
    assert published.unspecified_in_paper


@pytest.mark.parametrize("name", ["elazhari2022", "cuijpers2020"])
def test_numbers_belong_to_cells_that_the_whole_grid_has(name: str) -> None:
    for mode in ("published", "corrected"):
        loaded = recipes.load_recipe(name, mode)
        named = {number.cell for number in loaded.published if number.cell}
        assert named
        assert named <= set(recipes.cells(loaded))


def test_study_000_has_the_papers_eleven_cells_and_their_controls() -> None:
    """Section 3.1.4: ImageNet weights frozen, or random ones trained; VGG16 at its own rate."""
    found = set()
    for cell in cells("elazhari2022"):
        (stage,) = cell.train.stages
        assert (stage.optimiser, stage.batch) == ("adam", 32)
        assert stage.stop is not None
        assert (stage.stop.accuracy, stage.stop.loss) == (0.89, 0.3)
        found.add((cell.model.backbone, cell.model.weights, stage.trainable, stage.lr))
        own = cell.model.backbone == "elazhari_cnn"
        assert schema_to_training.head_plan(cell.model).hidden == (0 if own else 1000)
    names = ("densenet121", "resnet50", "inception_v3", "resnetv2_101", "vgg16")
    rate = {"vgg16": 1e-5}
    papers = {(n, "imagenet", "head", rate.get(n, 1e-3)) for n in names}
    papers |= {(n, "random", "all", rate.get(n, 1e-3)) for n in (*names, "elazhari_cnn")}
    assert len(papers) == 11
    assert papers < found
    assert len(found) == 44


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("mode", ["published", "corrected"])
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_crosses_frozen_or_not_with_pretrained_or_random(
    name: str, mode: Mode, quick: bool
) -> None:
    """Spec X-5: of its own network; a task where the study's grid has not all four."""
    asks = {} if name == "elazhari2022" else {"changes": ["tasks.frozen_or_not.enabled=true"]}
    loaded = recipes.load_recipe(name, mode, quick and bool(asks), **asks)
    task = recipes.tasks(loaded)["frozen_or_not"] if asks else loaded
    assert not validate.check_recipe(task)
    found = [
        (cell.model.backbone, cell.model.weights, cell.train.stages[0].trainable)
        for cell in recipes.cells(task).values()
        if not (cell.source_task and cell.source_task.enabled)
    ]
    four = itertools.product([loaded.model.backbone], ("imagenet", "random"), ("head", "all"))
    assert set(four) <= set(found)
    assert len(found) == (4 if asks else 44)
    assert "frozen_or_not" not in recipes.tasks(recipes.load_recipe(name, mode, quick))


def test_study_000_divides_80_10_10_and_augments_as_keras_does() -> None:
    loaded = recipes.load_recipe("elazhari2022", "published")
    kept = 1 - loaded.split.test
    assert loaded.split.group == "image"
    assert loaded.split.test == 0.1
    assert kept * loaded.split.validation == pytest.approx(0.1, abs=1e-4)
    moved = (loaded.augment.rotation, loaded.augment.keras_zoom, loaded.augment.flip)
    assert moved == (25, 0.2, 0.5)
    assert (loaded.augment.shear, loaded.augment.shift) == (0, 0)
    assert loaded.prepare.normalise == "unit"


def test_study_000_numbers() -> None:
    rows = recipes.load_recipe("elazhari2022").published
    found = {(r.where.removeprefix("3.1.6, "), r.name, r.class_, r.value) for r in rows}
    assert found == SECTION_316


def test_study_001_trains_86_and_86_posteroanterior_films() -> None:
    loaded = recipes.load_recipe("wiklund2020", "published")
    assert [(item.card, item.keep["view"], item.take) for item in loaded.data] == [
        ("cohen", ["PA"], {"covid19": 86}),
        ("nih", ["PA"], {"normal": 86}),
    ]
    assert len(loaded.seeds) == 5


def test_study_001_has_the_papers_networks_and_the_ways_of_batch_norm() -> None:
    found = {(cell.model.backbone, cell.train.stages[0].trainable) for cell in cells("wiklund2020")}
    own = {("wiklund_fc", "all"), ("wiklund_cnn", "all")}
    assert own | {(n, "head") for n in ("vgg16", "resnet50", "mobilenetv2_100")} < found
    assert len(found) == 10
    wide = [cell.train.stages[0] for cell in cells("wiklund2020", "corrected")]
    assert {s.batch_norm for s in wide if s.trainable == "last"} == {"frozen", "drift", "train"}
    assert [s.batch_norm for s in wide if s.trainable == "head"].count("drift") == 5
    assert len(wide) == 30


def test_study_001_asks_again_without_letters_and_with_pasted_ones() -> None:
    further = recipes.tasks(recipes.load_recipe("wiklund2020"))
    steps = {name: [step["step"] for step in task.prepare.steps] for name, task in further.items()}
    assert steps == {
        "cropped": ["border_crop", "resize"],
        "cropped_filled": ["border_crop", "remove_markers", "resize"],
        "letters_removed": ["remove_markers", "resize"],
        "letters_pasted": ["transplant_markers", "resize"],
    }
    assert further["cropped_filled"].prepare.steps[1]["method"] == "threshold"
    for task in further.values():  # the same films, in the same parts
        assert (task.data, task.split, task.seeds) == (
            recipes.load_recipe("wiklund2020").data,
            recipes.load_recipe("wiklund2020").split,
            [0, 1, 2, 3, 4],
        )
        assert {cell.model.backbone for cell in recipes.cells(task).values()} == {
            "wiklund_fc",
            "vgg16",
        }
    assert not recipes.tasks(recipes.load_recipe("wiklund2020", quick=True))


def test_study_001_sweeps_what_is_frozen() -> None:
    """Figures 6b and 7: three experiments of four points; what learns in each, counted."""
    loaded = recipes.load_recipe("wiklund2020", "published", changes=[f"{SWEEP}.enabled=true"])
    task = recipes.tasks(loaded)["freezing_sweep"]
    assert not validate.check_recipe(task)
    found = recipes.cells(task)
    points = list(itertools.product(FREEZING, range(4)))
    assert list(found) == [f"experiment={kind},layers={count}" for kind, count in points]
    assert "sweep" in task.figures
    assert set(grid_tables.axes(list(found))["layers"]) == set("0123")
    card = BACKBONES["vgg16"]
    for (kind, count), cell in zip(points, found.values(), strict=True):
        dense = 0 if kind == "no dense layers" else count
        plan = schema_to_training.head_plan(cell.model)
        assert plan == HeadPlan(pool=("flatten", "fc1", "fc2", "fc3")[dense])
        (stage,) = cell.train.stages
        words = (stage.trainable, stage.last, stage.first, stage.freeze)
        network = outlined(card, plan)
        freezing.apply_rules(network, schema_to_training.freezing_rules(card, *words), "frozen")
        head = (FEATURES[dense] + 1) * 2
        more = {"all frozen": 0, "convolutions frozen": sum(DENSE[:dense])}
        learns = head + more.get(kind, count * CONVOLUTION)
        assert sum(p.numel() for p in network.parameters() if p.requires_grad) == learns
        whole = sum(p.numel() for p in network.parameters())
        assert whole == 14_714_688 + sum(DENSE[:dense]) + head
        assert (stage.trainable == "head") == (learns == head)
    assert "freezing_sweep" not in recipes.tasks(recipes.load_recipe("wiklund2020"))


def outlined(card: BackboneCard, plan: HeadPlan) -> nn.Module:
    """Backbone and head with shapes only."""
    with torch.device("meta"):
        backbone = Backbone(card, Weights({}, "", "", ""), plan.pool).eval()
        width = backbone(torch.zeros(1, 3, 224, 224)).shape[1]
        return nn.Sequential(backbone, heads.build_head(plan, backbone.shape(width), 2))


def test_study_001_prepares_pixels_as_the_weights_in_use_want_them() -> None:
    """Spec S1-07: preprocess_input of each network, against timm's and Keras's own records."""
    import timm

    modes = {}
    for cell in cells("wiklund2020"):
        card = BACKBONES[cell.model.backbone]
        modes[cell.model.backbone] = NORMALISE[cell_network.normalisation(cell)]
        if not card.own:
            weights = timm.get_pretrained_cfg(card.timm_name)
            assert (weights.mean, weights.std) == (
                modes[cell.model.backbone].mean,
                modes[cell.model.backbone].std,
            )
    own = {name for name in modes if BACKBONES[name].own}
    assert own == {"wiklund_fc", "wiklund_cnn"}
    assert {modes[name] for name in own} == {NORMALISE["unit"]}
    # Keras's own files of these two want BGR around the mean; their first convolution is folded,
    # so that the same pixels come to the same numbers (tests/models/test_keras.py)
    theirs = {
        name: family.normalise
        for name in ("vgg16", "resnet50")
        for pattern, family in weights_keras.FAMILIES.items()
        if re.match(pattern, BACKBONES[name].timm_name)
    }
    assert theirs == {"vgg16": "caffe", "resnet50": "caffe"}


def test_study_001_asks_for_200_later_films_and_three_ways_to_begin() -> None:
    """Spec S1-04, S1-11 and S1-12: of other patients; no weights, ImageNet's, NIH's."""
    loaded = recipes.load_recipe("wiklund2020", changes=["tasks.nih_pretrained.enabled=true"])
    (later,) = loaded.external_tests
    assert (later.card, later.keep["label"], later.take) == ("nih", ["normal"], {"normal": 200})
    assert later.keep["view"] == loaded.data[1].keep["view"]
    task = recipes.tasks(loaded)["nih_pretrained"]
    assert not validate.check_recipe(task)
    assert "heatmaps_by_model" in task.figures
    found = {
        (cell.model.weights, cell.source_task is not None and cell.source_task.enabled)
        for cell in recipes.cells(task).values()
    }
    assert found == {("random", False), ("imagenet", False), ("imagenet", True)}
    assert len(recipes.cells(task)) == 6


def test_study_001_numbers() -> None:
    rows = recipes.load_recipe("wiklund2020").published
    assert [(r.where.split(", ")[0], r.value) for r in rows] == [
        ("5.2", 0.5), ("5.2", 0.5), ("4.2", 1.0), ("4.2", 1.0),
    ]  # fmt: skip


def test_study_002_has_the_papers_four_cells() -> None:
    found = {}
    for cell in cells("cuijpers2020"):
        (stage,) = cell.train.stages
        table = (stage.optimiser, stage.momentum, stage.lr, stage.batch, stage.epochs)
        assert table == ("sgd", 0.5, 1e-4, 8, 100)
        assert (stage.keep, cell.split.validation) == ("last", 0)  # S2-03
        assert (cell.train.balance, cell.prepare.side) == ("smote", 224)
        plan = schema_to_training.head_plan(cell.model)
        assert (plan.hidden, plan.average, plan.norm, plan.l1, plan.l2) == (
            128,
            True,
            True,
            1e-3,
            1e-3,
        )
        found[cell.model.backbone] = plan.map_dropout
    assert found == {
        "inception_v3": 0.5, "densenet201": 0.5, "resnetv2_101": 0.2, "inception_resnet_v2": 0.2,
    }  # fmt: skip


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("mode", ["published", "corrected"])
def test_study_002_can_be_fine_tuned_at_a_rate_that_validation_chooses(
    mode: Mode, quick: bool
) -> None:
    """Spec S2-23, the paper's future work: a further stage, and its rate searched for."""
    assert "fine_tuned" not in recipes.tasks(recipes.load_recipe("cuijpers2020", mode, quick))
    on = recipes.load_recipe("cuijpers2020", mode, quick, ["tasks.fine_tuned.enabled=true"])
    task = recipes.tasks(on)["fine_tuned"]
    assert not validate.check_recipe(task)
    assert task.split.validation > 0
    found = [[s.trainable for s in cell.train.stages] for cell in recipes.cells(task).values()]
    assert found == [["head"], *[["head", "last"]] * 3]
    last = [cell.train.stages[-1] for cell in recipes.cells(task).values()]
    assert [stage.lr for stage in last[1:]] == [1e-3, 1e-4, 1e-5]
    assert {(stage.keep, stage.batch_norm) for stage in last[1:]} == {("loss", "frozen")}


def test_study_002_numbers_and_that_they_follow_from_the_counts() -> None:
    loaded = recipes.load_recipe("cuijpers2020")
    rows, grid = loaded.published, recipes.cells(loaded)
    found = {(grid[r.cell].model.backbone, r.name, r.class_): r.value for r in rows}
    assert len(rows) == len(found) == 28
    for name, values in TABLE_2.items():
        assert [found[name, *key] for key in SCORES_2] == list(values)
        tp, fp, fn, tn = COUNTS_2[name]
        exact = (
            *(tp / (tp + fp), tp / (tp + fn), 2 * tp / (2 * tp + fp + fn)),
            *(tn / (tn + fn), tn / (tn + fp), 2 * tn / (2 * tn + fn + fp)),
            (tp + tn) / 324,
        )
        assert list(values) == pytest.approx(exact, abs=0.00501)


def test_study_003_augments_as_its_code_does_and_blacks_nothing_out_where_corrected() -> None:
    """Spec S3-05: aspect .3, scale .75 to 1.5, flip .5, 15 degrees in one of two, value 1.5."""
    code = AugmentationRanges(
        rotation=15, rotation_probability=0.5, aspect=0.3, placed_scale=(0.75, 1.5),
        flip=0.5, value=1.5, fill=128,
    )  # fmt: skip
    published = recipes.load_recipe("zhang2022", "published")
    assert published.source_task is not None
    assert (
        cell_context.ranges(published.augment)
        == cell_context.ranges(published.source_task.augment)
        == code
    )
    names = [str(i) for i in range(2000)]
    assert sample.sample(code, names, 0, 0)["value"].min() < 0
    for plan in cells("zhang2022", "corrected"):
        held = sample.sample(cell_context.ranges(plan.augment), names, 0, 0)["value"]
        assert 0.5 <= held.min() <= held.max() <= 1.5


def test_study_004_has_both_presets() -> None:
    found = {cell.train.stages[0].name: cell.train.stages[0] for cell in cells("yamani2021")}
    assert list(found) == ["text", "upstream", "upstream but BatchNorm drifts"]
    assert [stage.batch_norm == "drift" for stage in found.values()] == [False, False, True]
    for mode in ("published", "corrected"):
        assert len(cells("yamani2021", mode, quick=True)) == 2
    assert len(cells("yamani2021", "corrected")) == 2
    assert {(s.lr, s.batch, s.epochs, s.trainable) for s in found.values()} == {
        (1e-4, 20, 100, "head")
    }
    assert (found["text"].optimiser, found["text"].schedule.kind) == ("adam", "constant")
    upstream = found["upstream"]
    assert (upstream.optimiser, upstream.momentum) == ("sgd", 0.9)
    assert (upstream.schedule.kind, upstream.schedule.every, upstream.schedule.factor) == (
        "step", 7, 0.1,
    )  # fmt: skip


def test_study_004_augments_one_class_as_published_and_both_where_corrected() -> None:
    published = recipes.load_recipe("yamani2021", "published").train.copies
    corrected = recipes.load_recipe("yamani2021", "corrected").train.copies
    assert published is not None
    assert corrected is not None
    assert 84 * published.times == 420
    assert (published.classes, published.ranges.vertical_flip) == (["covid19"], 0.5)
    assert (corrected.classes, corrected.ranges.vertical_flip) == (["covid19", "non_covid"], 0)


def test_study_004_numbers() -> None:
    rows = recipes.load_recipe("yamani2021").published
    found = {(r.name, r.class_, r.threshold): r.value for r in rows}
    assert len(rows) == len(found) == 8
    for threshold, sensitivity, specificity in TABLE_1:
        assert found["sensitivity", "covid19", threshold] == sensitivity
        assert found["specificity", "covid19", threshold] == specificity


def test_robust_is_tested_on_sites_that_training_never_saw() -> None:
    loaded = recipes.load_recipe("robust")
    (other,) = recipes.tasks(loaded).values()
    assert (other.split.kind, other.split.group) == ("kfold", "site")
    assert other.model_dump(exclude={"split", "title", "name"}) == loaded.model_dump(
        exclude={"split", "title", "name", "tasks"}
    ) | {"tasks": {}}  # all else is the same, so that its figures are the main model's
    assert len({item.card for item in loaded.data}) == 3
    assert {cell.model.backbone for cell in recipes.cells(loaded).values()} <= EMBEDDED
    steps = [(step["step"], step.get("failed")) for step in loaded.prepare.steps]
    assert steps == [("film_and_lungs", "whole")]


def test_the_command_line_shows_and_lists_every_recipe() -> None:
    from hilum.cli import main  # noqa: F401 - registers the commands
    from hilum.cli.app import app

    runner = CliRunner()
    listed = runner.invoke(app, ["recipes"])
    assert listed.exit_code == 0
    for name in recipes.recipe_names():
        assert name in listed.stdout
        shown = runner.invoke(app, ["show", name])
        assert shown.exit_code == 0, shown.output
        assert f'name = "{name}"' in shown.stdout


PAGE = Path(__file__).resolve().parents[2] / "docs" / "studies.md"
ROWS = {"S0": 35, "S1": 29, "S2": 26, "S3": 28, "S4": 21, "X": 7}


def rows_of_the_page() -> list[tuple[str, str]]:
    """(what names the rows, state) of every line of its tables."""
    lines = [line.split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines()]
    return [(cells[0], cells[1]) for cells in lines if re.match(r"\| (S\d|X)-\d", cells[0])]


def named(text: str) -> list[str]:
    """S0-24 to S0-26 and S1-08, S1-09 as single rows."""
    first, *others = re.findall(r"\b((?:S\d|X)-\d+)\b", text)
    if others and " to S" in text:
        study, low, high = first.split("-")[0], first.split("-")[1], others[0].split("-")[1]
        return [f"{study}-{number:02}" for number in range(int(low), int(high) + 1)]
    return [first, *others]


def test_the_page_of_studies_has_every_row_once_with_its_state() -> None:
    found = [row for text, _ in rows_of_the_page() for row in named(text)]
    wanted = [
        f"{study}-{number:02}" if study != "X" else f"X-{number}"
        for study, count in ROWS.items()
        for number in range(1, count + 1)
    ]
    assert sorted(found) == sorted(wanted)
    assert {state for _, state in rows_of_the_page()} <= {"done", "partly", "not yet", "left out"}


def test_the_page_of_studies_names_tests_and_files_that_exist() -> None:
    text = PAGE.read_text(encoding="utf-8")
    tests = Path(__file__).resolve().parents[1]
    code = "\n".join(path.read_text(encoding="utf-8") for path in tests.rglob("test_*.py"))
    functions = set(re.findall(r"`(test_\w+)`", text))
    assert len(functions) > 40
    assert functions <= set(re.findall(r"^def (test_\w+)", code, re.M))
    for path in set(re.findall(r"`(tests/[\w/.]+)`", text)):
        assert (tests.parent / path).exists(), path
