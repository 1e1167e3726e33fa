"""From a decoded film to the pixels that a network sees."""

from hilum.preprocess.pipeline import STEPS, Pipeline, from_list, with_side

__all__ = ["STEPS", "Pipeline", "from_list", "with_side"]
