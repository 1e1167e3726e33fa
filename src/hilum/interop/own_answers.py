"""What a model that another library loads must answer: what hilum answers, in full precision."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hilum import phantom
from hilum.inference.model import TrainedModel, compile_backbone
from hilum.types import HilumError, Probabilities, Stack8

FILMS, SIDE, SEED = 16, 256, 21  # of the phantom
MOST = 1e-4  # by which a probability may differ: rounding of float32, as in exporting.proof


class RefusedFolderError(HilumError):
    """A folder that answers otherwise than the model; exit 1."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class OwnAnswers:
    """Prepared films of the phantom (image, height, width), and hilum's own p (image, class)."""

    films: Stack8
    p: Probabilities

    @classmethod
    def of(cls, model: TrainedModel) -> "OwnAnswers":
        """Those of a model; its network is compiled again where it computes in less than fp32."""
        drawn = phantom.generate(phantom.Request(images=FILMS, size=SIDE, seed=SEED)).images
        films = np.stack([model.pipeline(film) for film in drawn])
        facts = model.facts
        if facts.precision != "fp32":
            engine = compile_backbone(model.backbone, facts.normalise, model.pipeline, "fp32")
            model = replace(model, facts=replace(facts, precision="fp32"), runtime=engine)
        return cls(films, model.probabilities(films))

    def require_same(self, answer: Callable[[Stack8], Probabilities], what: str) -> str:
        """How far another's probabilities are from hilum's, in words; raises where too far."""
        change = float(np.abs(answer(self.films) - self.p).max())
        if not change <= MOST:  # nan is neither
            raise RefusedFolderError(
                f"{what} must answer as the model does, within {MOST:g} of each probability; got "
                f"a difference of {change:.2g} on {FILMS} phantom films; choose --format onnx."
            )
        return f"largest change of a probability on {FILMS} phantom films: {change:.1e}"
