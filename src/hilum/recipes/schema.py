"""The keys of a recipe: frozen models that refuse what they do not know."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, TypeGuard, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Mode: TypeAlias = Literal["published", "corrected"]
PoolKey: TypeAlias = Literal[
    "auto", "choose", "average", "stages", "early", "flatten", "last", "fc1", "fc2", "fc3"
]


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
    # class -> test images, where the paper says so: its figures are checked against them
    tested: dict[str, int] = Field(default_factory=dict)


class DataSet(Strict):
    """One set of images: a dataset's card by name, a path of the user's own, or the phantom."""

    card: str = ""
    path: str = ""
    columns: dict[str, str] = Field(default_factory=dict)  # of a table: "label" -> its column
    labels: str = ""  # of a path's folder: a CSV, from anywhere, that labels its images
    source_tag: str = ""  # of a path's DICOM files: the element that is the source, or "none"
    phantom: dict[str, Any] = Field(default_factory=dict)
    rename: dict[str, str] = Field(default_factory=dict)  # label -> label, before all else
    keep: dict[str, list[str]] = Field(default_factory=dict)  # manifest column -> allowed values
    take: dict[str, int] = Field(default_factory=dict)  # label -> how many, drawn with the seed

    @model_validator(mode="after")
    def _one_origin(self) -> "DataSet":
        if sum(map(bool, (self.card, self.path, self.phantom))) != 1:
            raise ValueError("each [[data]] needs exactly one of card, path, phantom")
        if (self.labels or self.source_tag) and not self.path:
            raise ValueError("labels and source_tag of [[data]] need a path of your own")
        return self


class SplitPlan(Strict):
    """How images are divided; `validation` is a share of what is not test, 0: nothing is chosen."""

    # auto: the set's own split; without one hold-out, or k-fold where it would test few images
    kind: Literal["auto", "holdout", "kfold", "official"] = "holdout"
    folds: int = Field(5, ge=2)
    test: float = Field(0.2, gt=0, lt=1)
    validation: float = Field(0.15, ge=0, lt=1)
    group: Literal["patient", "image", "cluster", "site"] = "patient"
    # in which images are drawn: content does not depend on where they lie and what they are called
    order: Literal["name", "content"] = "name"
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
    # further networks, frozen, with ImageNet's weights: the head sees their features as well
    auxiliary_backbones: list[str] = Field(default_factory=list)
    head: str = "linear"  # linear, mlp, or a paper's by its recipe's name
    hidden: int | None = Field(None, gt=0)  # these five: the head's own unless given
    dropout: float | None = Field(None, ge=0, lt=1)
    map_dropout: float | None = Field(None, ge=0, lt=1)
    # average, stages (earlier maps as well), early (maps of strides 8 and 16 alone), a list of
    # strides, flatten, last, or how many classifier layers stay;
    # auto: stages for a head of one layer, where the networks can hand them out;
    # a list of pools, or choose: the one that validation prefers, in each fold for itself
    pool: PoolKey | list[int] | list[PoolKey | list[int]] | None = None
    penalise: Literal["outputs", "weights"] | None = None
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    mirror: bool = True  # average each image with its mirror image when predicting

    @property
    def chooses_pool(self) -> bool:
        """Whether validation chooses among several pools."""
        return self.pool == "choose" or (isinstance(self.pool, list) and not _strides(self.pool))

    @field_validator("pool", mode="before")
    @classmethod
    def _pool_or_pools(cls, pool: object) -> object:
        """In one sentence what pydantic would say once for each kind of value."""
        several = isinstance(pool, list) and bool(pool) and not _strides(pool)
        for one in pool if isinstance(pool, list) and several else [pool]:
            known = one in get_args(PoolKey) if isinstance(one, str) else one is None
            if not (known or _strides(one)) or (several and one in ("auto", "choose")):
                raise ValueError(
                    f"a pool is one of {', '.join(get_args(PoolKey))}, a list of strides such as "
                    "[8, 16], or a list of pools among which validation chooses, without auto and "
                    f"choose; got {one!r}"
                )
        return pool

    @field_validator("precision", mode="before")
    @classmethod
    def _trains_in_floating_point(cls, precision: object) -> object:
        if precision == "int8":
            raise ValueError("int8 is now a precision of `hilum export`; for training use 'auto'")
        return precision


def _strides(pool: object) -> TypeGuard[Sequence[int]]:
    return isinstance(pool, list) and bool(pool) and all(type(n) is int for n in pool)


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
    rotation_probability: float = 1.0
    keras_zoom: float = 0.0
    crop_scale: tuple[float, float] = (1.0, 1.0)
    crop_aspect: tuple[float, float] = (1.0, 1.0)
    aspect: float = 0.0
    placed_scale: tuple[float, float] = (1.0, 1.0)
    value_limit: float = 0.0
    fill: int = -1


class CopiesPlan(Strict):
    """Offline augmentation: copies made once of the training images of some classes."""

    classes: list[str] = Field(default_factory=list)  # empty: every class
    times: int = Field(0, ge=0)  # each image becomes that many ...
    target: int = Field(0, ge=0)  # ... or there are so many in all
    # of every image, those of the test too, and all copies train: study 000's leak, published alone
    before_split: bool = False
    ranges: AugmentPlan = AugmentPlan()


class Schedule(Strict):
    """Learning rate over epochs: lr * factor ** (epoch // every), or half a cosine to zero."""

    kind: Literal["constant", "step", "cosine"] = "constant"
    every: int = Field(5, gt=0)
    factor: float = Field(0.9, gt=0)


class Stop(Strict):
    """Stop at the end of the first epoch with both: accuracy at least, loss below (S0-21)."""

    accuracy: float = Field(0.0, ge=0, le=1)
    loss: float = Field(float("inf"), gt=0)


class Stage(Strict):
    """One stage of training; which epoch's weights are kept says `keep`."""

    name: str = "head"
    trainable: Literal["head", "all", "last"] = "head"
    last: int = Field(1, gt=0)  # with "last": how many of the backbone's last stages train
    first: int = Field(0, ge=0)  # with "all": how many of its first stages stay as they are
    freeze: list[str] = Field(default_factory=list)  # patterns of parameters that stay all the same
    # of layers whose weights train not; with a head alone only "drift" says anything: features are
    # not computed once, but by the frozen network whose running statistics follow the batches
    batch_norm: Literal["frozen", "drift", "train"] = "train"
    optimiser: Literal["lbfgs", "adam", "adamw", "sgd"] = "lbfgs"
    epochs: int = Field(100, gt=0)
    batch: int = Field(32, gt=0)
    steps: int = Field(0, ge=0)  # batches that make an epoch; 0: every image once
    side: int = Field(0, ge=0)  # of the images while this stage trains; 0: as prepared
    lr: float = Field(1e-3, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    eps: float = Field(1e-8, gt=0)  # Adam's; Keras has 1e-7
    weight_decay: float = Field(0.0, ge=0)
    patience: int = Field(0, ge=0)  # epochs without improvement before stopping; 0: never
    average: float = Field(0.0, ge=0, lt=1)  # decay of an average of the weights; 0: none
    smoothing: float = Field(0.0, ge=0, lt=1)  # label smoothing
    # of the epochs: that of the lowest validation loss or highest accuracy, or the last
    keep: Literal["loss", "accuracy", "last"] = "loss"
    # lbfgs, last stage: once its strength is chosen, fit again on validation images as well;
    # temperature and limits stay those of the fit that had not seen them
    refit: bool = False
    schedule: Schedule = Schedule()
    stop: Stop | None = None

    @model_validator(mode="after")
    def _convex_only(self) -> "Stage":
        if self.through and self.optimiser == "lbfgs":
            raise ValueError("optimiser lbfgs fits a head only; use adam, adamw or sgd")
        if self.refit and self.optimiser != "lbfgs":
            raise ValueError(
                "refit needs optimiser lbfgs, because other heads need validation to stop"
            )
        if self.trainable == "head" and self.freeze:
            raise ValueError(
                "freeze needs trainable = all or last, because training the head alone "
                "freezes everything anyway"
            )
        return self

    @property
    def through(self) -> bool:
        """Whether images go through the backbone in every epoch: cached features would not do."""
        return self.trainable != "head" or self.batch_norm == "drift"


class TrainPlan(Strict):
    """Stages in order, and how classes are weighed."""

    cache: bool = True  # extract frozen features once instead of every epoch
    balance: Literal["none", "weights", "sources", "sampling", "smote", "smote_features"] = (
        "weights"
    )
    copies: CopiesPlan | None = None
    # equal parts of each batch, whose gradients are added: one after another, or each by a process
    # of a Ray; of stages through whose backbone images go
    replicas: int = Field(1, ge=1)
    stages: list[Stage] = Field(default_factory=lambda: [Stage()], min_length=1)


class SourcePlan(Strict):
    """A task that the backbone learns first (homologous transfer); its own test is reported too."""

    enabled: bool = True  # false: an arm without it
    classes: list[str] = Field(min_length=2)
    data: list[DataSet] = Field(min_length=1)
    split: SplitPlan = SplitPlan()
    prepare: PreparePlan | None = None  # the target's, unless lungs are kept in one of them only
    augment: AugmentPlan = AugmentPlan()
    train: TrainPlan = TrainPlan()
    exclude_target: bool = True  # leave out of it whatever the target task holds, patients included
    least_auroc: float = Field(0.6, ge=0, le=1)  # a backbone that has learned less is refused
    once: bool = False  # every seed starts from the first seed's source task


class PublishedNumber(Strict):
    """One number of the paper; `class` as in the recipe's class list, or overall/macro."""

    where: str
    name: str
    class_: str = Field("overall", alias="class")
    value: float
    cell: str = ""  # the cell it belongs to; empty: any
    threshold: float | None = Field(None, ge=0, le=1)  # the class is called from there on


class Departure(Strict):
    """A key whose value is not the paper's; `load` finds them, so that a stored recipe says so."""

    key: list[str] = Field(min_length=1)
    paper: Any = None  # absent: the paper's recipe does not have the key
    because: str = ""


class Recipe(Strict):
    """Everything a run needs; see docs/recipes.md for the keys.

    >>> import hilum
    >>> recipe = hilum.load_recipe("demo")
    >>> recipe.model.backbone, recipe.split.kind
    ('tf_efficientnet_lite0', 'holdout')
    """

    name: str
    title: str = ""
    mode: Mode = "corrected"
    cost: str = ""  # what a run takes, in words
    learns: Literal["classes", "lungs"] = "classes"  # or to outline lungs, from masks
    classes: list[str] = Field(default_factory=list)  # empty: as found in the data
    paper: Paper = Paper()
    data: list[DataSet] = Field(min_length=1)
    # further tests, apart from all of `data`
    external_tests: list[DataSet] = Field(default_factory=list)
    split: SplitPlan = SplitPlan()
    prepare: PreparePlan = PreparePlan()
    model: ModelPlan = ModelPlan()
    augment: AugmentPlan = AugmentPlan()
    train: TrainPlan = TrainPlan()
    source_task: SourcePlan | None = None
    modalities: Literal["one", "mixed"] = "one"  # "mixed": radiographs and CT together, on purpose
    seeds: list[int] = Field(default_factory=lambda: [0], min_length=1)
    grid: dict[str, list[Any]] = Field(default_factory=dict)  # dotted key -> values
    arms: dict[str, dict[str, Any]] = Field(default_factory=dict)  # name -> what it changes
    tasks: dict[str, dict[str, Any]] = Field(default_factory=dict)  # further questions, likewise
    figures: list[str] = Field(default_factory=list)  # `asked_as` of a row of FIGURES in the report
    published: list[PublishedNumber] = Field(default_factory=list)
    departures: list[Departure] = Field(default_factory=list)  # from the paper's settings
    unspecified_in_paper: list[str] = Field(default_factory=list)
    limits: list[str] = Field(default_factory=list)
