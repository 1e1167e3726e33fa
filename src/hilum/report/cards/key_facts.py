"""The model card's key facts, as the report shows them."""

from hilum.report.cards import data_answers as data
from hilum.report.cards import model_answers as model
from hilum.report.cards import score_answers as scores
from hilum.report.cards.checklist import Fill
from hilum.report.cards.facts import facts_of
from hilum.report.run_folder import RunFolder

ROWS: tuple[tuple[str, Fill], ...] = (
    ("Kind", model.kind),
    ("Network", model.network),
    ("First weights", model.initialisation),
    ("Training", model.training),
    ("Choice", model.selection),
    ("Output", model.thresholds),
    ("Calibration", model.calibration),
    ("Images", data.sizes),
    ("Other images", model.input_quality),
    ("Test elsewhere", scores.external),
)


def key_facts(run: RunFolder) -> list[tuple[str, str]]:
    """(heading, text) of what a reader must know of the model; without what is not recorded."""
    facts = facts_of(run)
    if not facts.record:
        return []
    rows = [(head, facts.clean(fill(facts))) for head, fill in ROWS]
    return [(head, text) for head, text in rows if text]
