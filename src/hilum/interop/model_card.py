"""The card that an exported folder begins with: the run's, or what the model alone knows."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hilum.inference import model_json
from hilum.inference.cautions import verdict_line
from hilum.inference.model import TrainedModel
from hilum.report.cards import write_cards
from hilum.types import CLASS_NAMES, NOTICE


def card_of(model: TrainedModel, folder: Path) -> str:
    """Markdown with the hub's front matter; `folder` is the model's."""
    run = model_json.run_of(folder)
    if (run / model_json.RESULTS).is_file():
        with TemporaryDirectory() as place:
            card, *_ = write_cards(run, Path(place))
            return card.path.read_text(encoding="utf-8")
    names = ", ".join(CLASS_NAMES.get(name, name) for name in model.facts.classes)
    head = "---\nlibrary_name: hilum\npipeline_tag: image-classification\n---\n"
    return f"{head}\n# {names}\n\n{NOTICE}\n\n{verdict_line(model.facts.judged)}\n"
