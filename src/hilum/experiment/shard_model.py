"""The model of a batch in shards: the same one in every process, loaded once by each."""

from functools import lru_cache
from pathlib import Path

from hilum import files
from hilum.files.versions import FITS, IMAGES, NETWORKS
from hilum.inference import digest, exported
from hilum.inference.model import TrainedModel
from hilum.types import HilumError

VERSIONS = files.releases(*NETWORKS, *FITS, *IMAGES)


def model_key(folder: Path, model: TrainedModel) -> str:
    """Digest of all of a model that an answer's digits depend on, here and now."""
    sources = model.sources if isinstance(model.sources, str) else model.sources.digest
    computed = model.runtime.describe()
    return files.stable_digest(digest.model_digest(folder), sources, computed, VERSIONS)


@lru_cache(maxsize=1)  # a process works on one batch
def held_model(folder: Path, key: str) -> TrainedModel:
    """The model of a folder; HilumError where it is not the one that the batch was begun with."""
    model = exported.load(folder)
    if model_key(folder, model) != key:
        raise HilumError(
            "all processes need the same model, versions and kind of processor; got another "
            f"result of {str(folder)!r} in one of them; leave the model's folder as it is, and use "
            "machines that are alike."
        )
    return model


def require_processor(model: TrainedModel) -> None:
    """Raise HilumError for a model on a GPU, which several processes would share."""
    device = model.runtime.facts.device
    if device != "cpu":
        raise HilumError(
            f"parts of a batch are computed by processor cores; got a model on {device}; add "
            "--device cpu, or leave --workers and --resume out."
        )
