"""What a run says of its test: scores, intervals, audits, errors, limits."""

from collections.abc import Sequence

from hilum.metrics import registry
from hilum.report.cards import data_answers
from hilum.report.cards.facts import CardFacts, finding_text, listed, score_text
from hilum.report.wording import class_name, count, family, prose, score_name
from hilum.types import NOTICE

ROBUST = ("C-01", "C-03", "C-04", "C-06", "C-07", "C-23", "C-24", "C-25")
HEAT = ("C-13", "C-14", "C-15", "C-16")
FAIR = ("C-19", "C-09")
SAFE = ("C-17", "C-18", "C-21", "C-22")
USEFUL = ("C-20",)


def _findings(facts: CardFacts, ids: Sequence[str]) -> str:
    rows = [facts.audit(id_) for id_ in ids]
    return " ".join(finding_text(row) for row in rows if row is not None)


def metrics(facts: CardFacts) -> str:
    """Which metrics were computed, and what each is."""
    names = list(dict.fromkeys(str(row.get("name")).split(" (")[0] for row in facts.scores))
    parts = []
    for name in names:
        metric = registry.find_metric(name)
        parts.append(f"{score_name(name)} ({metric.definition})" if metric else score_name(name))
    return f"{listed(parts)}." if parts else ""


def uncertainty(facts: CardFacts) -> str:
    """How intervals were made, and over what."""
    methods = [str(row["method"]) for row in facts.scores if row.get("low") is not None]
    named = list(dict.fromkeys(map(family, methods)))
    return f"95% intervals: {listed(named)}." if named else ""


def headlines(facts: CardFacts) -> str:
    """The scores that head a report, with their intervals."""
    rows = [facts.score(*metric.key) for metric in registry.headlines()]
    parts = [score_text(row) for row in rows if row is not None]
    return f"{'; '.join(parts)}." if parts else ""


def by_class(facts: CardFacts) -> str:
    """Sensitivity and specificity of each class, with their intervals."""
    rows = [
        facts.score(name, class_)
        for class_ in facts.run.classes
        for name in ("sensitivity", "specificity")
    ]
    parts = [score_text(row) for row in rows if row is not None]
    return f"{'; '.join(parts)}." if parts else ""


def internal(facts: CardFacts) -> str:
    """The test inside the run's own data."""
    found = headlines(facts)
    if not found or facts.external:
        return ""
    return f"Tested on images that trained and chose nothing: {found}"


def external(facts: CardFacts) -> str:
    """The test on images of elsewhere, or that there was none."""
    if facts.external:
        return f"This is an external test of a finished model: {headlines(facts)}"
    later = facts.run.section("data").get("later")
    left_out = finding_text(row) if (row := facts.audit("C-23")) else ""
    if later:
        return f"The recipe's external tests are in the scores. {left_out}".strip()
    if not facts.scores:
        return ""
    return f"No external test in this run; hilum evaluate makes one. {left_out}".strip()


def robustness(facts: CardFacts) -> str:
    """The audits of what the classifier reads."""
    return _findings(facts, ROBUST)


def heat(facts: CardFacts) -> str:
    """The audits of heat maps."""
    return _findings(facts, HEAT)


def fairness(facts: CardFacts) -> str:
    """The audits of groups of people."""
    return _findings(facts, FAIR)


def safety(facts: CardFacts) -> str:
    """The audits of calibration, threshold, abstention and refusal."""
    return _findings(facts, SAFE)


def usefulness(facts: CardFacts) -> str:
    """The audit of decisions."""
    return _findings(facts, USEFUL)


def across(facts: CardFacts) -> str:
    """What is lost at another source, and how well sources can be distinguished."""
    return _findings(facts, ("C-23", "C-05"))


def prevalence(facts: CardFacts) -> str:
    """What another mix of classes does."""
    return _findings(facts, ("C-26",))


def failures(facts: CardFacts) -> str:
    """How many test images are wrong, and which classes are confused most."""
    table = facts.run.chosen()
    columns = [f"p_{name}" for name in facts.run.classes]
    if table is None or not set(columns) <= set(table.columns):
        return ""
    mean = table.groupby("sample_id")[columns].mean()
    truth = table.drop_duplicates("sample_id").set_index("sample_id")["label"].loc[mean.index]
    named = mean.idxmax(axis=1).str.removeprefix("p_")
    wrong = truth != named
    if not wrong.any():
        return f"No error on {count(len(mean), 'test image')}."
    pairs = (truth[wrong] + "\n" + named[wrong]).value_counts()
    truth_name, answer = map(class_name, str(pairs.index[0]).split("\n"))
    return (
        f"Errors: {int(wrong.sum()):,} of {count(len(mean), 'test image')}. The most frequent: "
        f"{truth_name} taken for {answer} ({count(int(pairs.iloc[0]), 'image')}). The report shows "
        "the most confident mistakes."
    )


def limits(facts: CardFacts) -> str:
    """What the run says against itself: limits, and audits that failed or warned."""
    parts = [prose(str(text)) for text in facts.run.results.get("limits") or []]
    rows = [row for row in facts.run.rows("audits") if row.get("status") in ("fail", "warn")]
    return " ".join([*parts, *map(finding_text, rows)])


def verdict(facts: CardFacts) -> str:
    """The verdict, and that the model is for research alone."""
    return f"{facts.verdict} {NOTICE}" if facts.verdict else ""


def purpose(facts: CardFacts) -> str:
    """What the run set out to do."""
    if not facts.run.classes:
        return ""
    if facts.external:
        return f"To test a finished model that tells apart {facts.classes} on images of elsewhere."
    paper = facts.run.recipe.get("paper") or {}
    again = f", after {paper['reference']}" if paper.get("reference") else ""
    return f"To develop a model that tells apart {facts.classes}, and to test it{again}."


def summary(facts: CardFacts) -> str:
    """The run in three sentences: images, test, verdict."""
    parts = [data_answers.sizes(facts), data_answers.partition(facts), headlines(facts)]
    return " ".join(part for part in [*parts, facts.verdict] if part)


def heading(facts: CardFacts) -> str:
    """The run's title, and what kind of study it is."""
    kind = "evaluation" if facts.external else "development and evaluation"
    if not facts.run.classes:
        return ""
    return f"{facts.title} ({kind} of a deep-learning model for {facts.classes})."
