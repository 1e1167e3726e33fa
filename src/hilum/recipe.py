"""A study as data: TOML to frozen models; unknown keys are refused and the nearest one named."""

import difflib
import itertools
import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hilum.types import HilumError

Mode: TypeAlias = Literal["published", "corrected"]
Tree: TypeAlias = dict[str, Any]


class Strict(BaseModel):
    """A frozen model that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Paper(Strict):
    """Where the study was published."""

    study: str = ""
    authors: str = ""
    title: str = ""
    year: int = 0
    reference: str = ""


class DataSet(Strict):
    """One set of images: a dataset's card by name, a path of the user's own, or the phantom."""

    card: str = ""
    path: str = ""
    phantom: dict[str, Any] = Field(default_factory=dict)
    keep: dict[str, list[str]] = Field(default_factory=dict)  # manifest column -> allowed values
    relabel: dict[str, str] = Field(default_factory=dict)  # label -> label
    take: dict[str, int] = Field(default_factory=dict)  # label -> how many, drawn with the seed

    @model_validator(mode="after")
    def _one_origin(self) -> "DataSet":
        if sum(map(bool, (self.card, self.path, self.phantom))) != 1:
            raise ValueError("each [[data]] needs exactly one of card, path, phantom")
        return self


class SplitPlan(Strict):
    """How images are divided; `validation` is a share of what is not test."""

    kind: Literal["holdout", "kfold", "official"] = "holdout"
    folds: int = Field(5, ge=2)
    test: float = Field(0.2, gt=0, lt=1)
    validation: float = Field(0.15, gt=0, lt=1)
    group: Literal["patient", "image", "cluster"] = "patient"
    seed: int = 0


class PreparePlan(Strict):
    """The declarative preparation; `side` 0 means the backbone's own input size."""

    steps: list[dict[str, Any]] = Field(default_factory=lambda: [{"step": "letterbox"}])
    side: int = Field(0, ge=0)
    normalise: Literal["auto", "unit", "signed", "imagenet", "caffe"] = "auto"


class ModelPlan(Strict):
    """Backbone, weights and head."""

    backbone: str = "tf_efficientnet_lite0"
    weights: str = "imagenet"  # imagenet, random, or a file
    head: Literal["linear", "mlp"] = "linear"
    hidden: int = Field(128, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    mirror: bool = True  # average each image with its mirror image when predicting


class AugmentPlan(Strict):
    """On-the-fly augmentation; for frozen backbones `views` augmented copies are cached."""

    views: int = Field(0, ge=0)
    rotation: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    flip: float = 0.0
    vertical_flip: float = 0.0
    value: float = 0.0
    contrast: float = 0.0


class Schedule(Strict):
    """Learning rate over epochs: lr * factor ** (epoch // every), or half a cosine to zero."""

    kind: Literal["constant", "step", "cosine"] = "constant"
    every: int = Field(5, gt=0)
    factor: float = Field(0.9, gt=0)


class Stage(Strict):
    """One stage of training; weights of the epoch with the lowest validation loss are kept."""

    name: str = "head"
    trainable: Literal["head", "all"] = "head"
    optimiser: Literal["lbfgs", "adam", "adamw", "sgd"] = "lbfgs"
    epochs: int = Field(100, gt=0)
    batch: int = Field(32, gt=0)
    lr: float = Field(1e-3, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)
    patience: int = Field(0, ge=0)  # epochs without improvement before stopping; 0: never
    schedule: Schedule = Schedule()

    @model_validator(mode="after")
    def _convex_only(self) -> "Stage":
        if self.trainable == "all" and self.optimiser == "lbfgs":
            raise ValueError("optimiser lbfgs fits a head only; use adam, adamw or sgd")
        return self


class TrainPlan(Strict):
    """Stages in order, and how classes are weighed."""

    cache: bool = True  # extract frozen features once instead of every epoch
    balance: Literal["none", "weights"] = "weights"
    stages: list[Stage] = Field(default_factory=lambda: [Stage()], min_length=1)


class PublishedNumber(Strict):
    """One number of the paper; `class` as in the recipe's class list, or overall/macro."""

    where: str
    name: str
    class_: str = Field("overall", alias="class")
    value: float
    cell: str = ""  # the grid cell it belongs to; empty: any


class Recipe(Strict):
    """Everything a run needs; see docs/recipes.md for the keys."""

    name: str
    title: str = ""
    mode: Mode = "corrected"
    cost: str = ""  # what a run takes, in words
    classes: list[str] = Field(default_factory=list)  # empty: as found in the data
    paper: Paper = Paper()
    data: list[DataSet] = Field(min_length=1)
    split: SplitPlan = SplitPlan()
    prepare: PreparePlan = PreparePlan()
    model: ModelPlan = ModelPlan()
    augment: AugmentPlan = AugmentPlan()
    train: TrainPlan = TrainPlan()
    seeds: list[int] = Field(default_factory=lambda: [0], min_length=1)
    grid: dict[str, list[Any]] = Field(default_factory=dict)  # dotted key -> values
    published: list[PublishedNumber] = Field(default_factory=list)
    unspecified_in_paper: list[str] = Field(default_factory=list)
    limits: list[str] = Field(default_factory=list)


def names() -> list[str]:
    """The recipes that come with hilum, by name."""
    found = resources.files("hilum.recipes").iterdir()
    return sorted(Path(item.name).stem for item in found if item.name.endswith(".toml"))


def load(
    recipe: str, mode: Mode | None = None, quick: bool = False, changes: Sequence[str] = ()
) -> Recipe:
    """Read a recipe by name or file: base, then its mode, then quick, then `key=value` changes.

    Raises HilumError for an unknown recipe or key (the nearest is named) and for bad values.
    """
    tree = _read(recipe)
    modes, short = tree.pop("modes", {}), tree.pop("quick", {})
    _known(modes, get_args(Mode), "modes")
    chosen = mode or tree.get("mode", "corrected")
    tree = merged(tree, modes.get(chosen, {}))
    tree = merged(tree, short if quick else {})
    for change in changes:
        tree = merged(tree, _change(change))
    return parse({**tree, "mode": chosen})


def parse(tree: Mapping[str, Any]) -> Recipe:
    """Check a tree of plain values against the models."""
    try:
        return Recipe.model_validate(dict(tree))
    except ValidationError as error:
        raise HilumError(_sentence(error)) from None


def cells(recipe: Recipe) -> dict[str, Recipe]:
    """The grid's cells by name ("backbone=resnet50,head=mlp"); one cell, "main", without a grid."""
    if not recipe.grid:
        return {"main": recipe}
    found = {}
    for values in itertools.product(*recipe.grid.values()):
        pairs = dict(zip(recipe.grid, values, strict=True))
        name = ",".join(f"{key.rsplit('.', 1)[-1]}={value}" for key, value in pairs.items())
        tree = {**as_tree(recipe), "grid": {}}
        for key, value in pairs.items():
            tree = merged(tree, _nested(key, value))
        found[name] = parse(tree)
    return found


def as_tree(recipe: Recipe) -> Tree:
    """Plain values only, every default spelt out."""
    return recipe.model_dump(mode="json", by_alias=True)


def as_toml(recipe: Recipe) -> str:
    """The resolved recipe as TOML text that `load` reads back to the same recipe."""
    return "\n".join(_toml(as_tree(recipe), ())) + "\n"


def merged(base: Tree, over: Mapping[str, Any]) -> Tree:
    """`over` laid upon `base`, table by table; lists are replaced whole."""
    out = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merged(out[key], value) if both else value
    return out


def _read(recipe: str) -> Tree:
    path = Path(recipe).expanduser()
    if path.suffix == ".toml" or path.is_file():
        return _parsed(path)
    if recipe in names():
        return tomllib.loads(
            resources.files("hilum.recipes").joinpath(f"{recipe}.toml").read_text()
        )
    raise HilumError(
        f"recipe must be a TOML file or one of {', '.join(names())}; got {recipe!r}"
        + _nearest(recipe, names())
    )


def _parsed(path: Path) -> Tree:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise HilumError(f"recipe file {path} cannot be read ({error}); check the path.") from None
    except tomllib.TOMLDecodeError as error:
        raise HilumError(
            f"recipe file {path} is not valid TOML: {error}; mend that line."
        ) from None


def _change(change: str) -> Tree:
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise HilumError(f"--set wants key=value, as in model.backbone=resnet50; got {change!r}.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word is a string, so that no shell needs nested quotes
    return _nested(key.strip(), value)


def _nested(key: str, value: Any) -> Tree:
    head, _, rest = key.partition(".")
    return {head: _nested(rest, value) if rest else value}


def _sentence(error: ValidationError) -> str:
    """The first complaint of pydantic in our words."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _fields_at(first["loc"][:-1])
        return f"recipe key {where!r} does not exist" + _nearest(str(first["loc"][-1]), known)
    if first["type"] == "missing":
        return f"recipe needs the key {where!r}; got none; add it."
    got = json.dumps(first["input"], default=str)[:80]
    return f"recipe key {where or 'recipe'!r}: {first['msg']}; got {got}; change that value."


def _fields_at(loc: tuple[int | str, ...]) -> list[str]:
    kind: Any = Recipe
    for part in loc:
        if isinstance(part, str):
            annotation = kind.model_fields[part].annotation
            kind = next((a for a in get_args(annotation) if isinstance(a, type)), annotation)
    return [field.alias or name for name, field in kind.model_fields.items()]


def _known(table: Mapping[str, Any], allowed: Sequence[str], what: str) -> None:
    for key in table:
        if key not in allowed:
            raise HilumError(
                f"{what} must be among {', '.join(allowed)}; got {key!r}" + _nearest(key, allowed)
            )


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}."


def _toml(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """Values first, then sub-tables, then arrays of tables, as TOML wants them."""
    plain = {k: v for k, v in table.items() if not _is_table(v) and not _is_tables(v)}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in table.items():
        at = ".".join(_key(part) for part in (*path, key))
        if _is_table(value):
            lines += ["", f"[{at}]", *_toml(value, (*path, key))]
        if _is_tables(value):
            for row in value:
                lines += ["", f"[[{at}]]", *_toml(row, (*path, key))]
    return lines


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_tables(value: Any) -> bool:
    return (
        isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)
    )


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
