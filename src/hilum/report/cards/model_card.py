"""The model card: Markdown with the front matter that Hugging Face reads."""

from hilum.report.cards import data_answers as data
from hilum.report.cards import model_answers as model
from hilum.report.cards import score_answers as scores
from hilum.report.cards.checklist import AnsweredItem, Item, answer
from hilum.report.cards.checklist_page import plain
from hilum.report.cards.facts import CardFacts
from hilum.report.cards.front_matter import front_matter
from hilum.types import NOTICE

SOURCE = "Mitchell et al. 2019, doi:10.1145/3287560.3287596"
ITEMS = (
    Item("Verdict", "Verdict", "Can its scores be trusted?", lambda f: f.verdict),
    Item("Kind", "Model", "What it is", model.kind),
    Item("Network", "Model", "Network", model.network),
    Item("First weights", "Model", "Where its weights came from", model.initialisation),
    Item("Output", "Model", "What it gives", model.thresholds),
    Item("Answers", "Model", "What is averaged", model.ensemble),
    Item("Developers", "Model", "Who made it"),
    Item("Purpose", "Uses", "What it was made for", scores.purpose),
    Item("Users", "Uses", "Whom it is for"),
    Item("Other images", "Uses", "What it does with other images", model.input_quality),
    Item("Sources", "Training data", "Where the images come from", data.sources),
    Item("Selection", "Training data", "Which were used", data.eligibility),
    Item("Labels", "Training data", "Who says what they show", data.labels),
    Item("People", "Training data", "Who is on them", data.people),
    Item("Missing facts", "Training data", "What is not known of them", data.missing),
    Item("Parts", "Training data", "How they were divided", data.partition),
    Item("Leaks", "Training data", "Whether the parts are apart", data.disjoint),
    Item("Training", "Training", "How it was trained", model.training),
    Item("Choice", "Training", "How it was chosen", model.selection),
    Item("Calibration", "Training", "How it was calibrated", model.calibration),
    Item("Scores", "Evaluation", "How good it is", scores.headlines),
    Item("By class", "Evaluation", "How good it is for each class", scores.by_class),
    Item("Intervals", "Evaluation", "How sure that is", scores.uncertainty),
    Item("Elsewhere", "Evaluation", "On images of elsewhere", scores.external),
    Item("Errors", "Evaluation", "What it gets wrong", scores.failures),
    Item("What it reads", "Evaluation", "Lungs, or clues to the hospital?", scores.robustness),
    Item("Groups", "Evaluation", "Whether groups are served alike", scores.fairness),
    Item("Probabilities", "Evaluation", "Whether its probabilities hold", scores.safety),
    Item("Limits", "Limits", "What speaks against it", scores.limits),
    Item("Shortcuts", "Limits", "Known shortcuts of the data", data.shortcuts),
    Item("Licences of the data", "Licence", "Of the images", data.licences),
    Item("Software", "Reproduction", "With which software", model.software),
    Item("Protocol", "Reproduction", "Every setting", model.protocol),
)
OPENING = (
    '```python\nimport hilum\n\nmodel = hilum.load_model("model")  # or the run\'s folder\n'
    'answer = model.predict("film.png")\nprint(answer.label, answer.probabilities, answer.reason)\n'
    "```"
)


def model_card(facts: CardFacts, licence: str = "") -> tuple[str, list[AnsweredItem]]:
    """The card, and its rows. `licence` is the model's, as the hub writes it; "" where none is."""
    rows = [answer(item, facts) for item in ITEMS]
    lines = [f"# {plain(facts.clean(facts.title))}", f"**{NOTICE}**"]
    section = ""
    for row in rows:
        if row.item.section != section:
            section = row.item.section
            lines.append(f"## {section}")
            lines += [_licence(facts, licence)] if section == "Licence" else []
        lines.append(_line(row))
    lines += ["## How to use it", OPENING, f"Form of this card: {SOURCE}."]
    return front_matter(facts, licence) + "\n" + "\n\n".join(lines) + "\n", rows


def _line(row: AnsweredItem) -> str:
    text = f"*{row.text}*" if row.state == "open" else plain(row.text)
    return text if row.item.number == row.item.section else f"**{row.item.number}.** {text}"


def _licence(facts: CardFacts, licence: str) -> str:
    if licence:
        return f"**The model.** {plain(licence)}"
    weights = facts.record.get("weights_licence")
    origin = f" The weights that it started from: {plain(str(weights))}." if weights else ""
    return f"**The model.** *Open: only a person can choose it (--licence).*{origin}"
