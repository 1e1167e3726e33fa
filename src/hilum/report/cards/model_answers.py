"""What a run says of its model: network, weights, training, selection, software."""

from collections.abc import Mapping
from typing import Any

from hilum.report.cards.facts import CardFacts, listed
from hilum.report.wording import class_name, count, plain_value

VERSIONS = ("hilum", "python", "torch", "timm", "openvino", "scikit-learn", "numpy", "pandas")
STAGE = (
    "trainable", "optimiser", "epochs", "batch", "lr", "weight_decay", "patience", "smoothing",
)  # fmt: skip
QUIET = {"optimiser": "lbfgs"}  # solved to the optimum: no batch, no rate
AUGMENTED = ("rotation", "zoom", "shear", "shift", "flip", "vertical_flip", "value", "contrast")


def network(facts: CardFacts) -> str:
    """Backbone, head, size, input and output."""
    record = facts.record
    if not record.get("backbone"):
        return ""
    layers = record.get("layers") or []
    head = sum(int(row.get("layers") or 0) for row in layers if row.get("where") == "head")
    on_top = f" with a head of {count(head, 'layer')}" if head else ""
    return (
        f"{record['backbone']}{_beside(record)}{on_top}.{_parameters(layers)} Input: "
        f"{preparation(facts) or 'not recorded.'} Output: a probability of each of "
        f"{facts.classes}."
    )


def _beside(record: Mapping[str, Any]) -> str:
    others = [str(name) for name in record.get("beside") or []]
    return f" next to {listed(others)}" if others else ""


def _parameters(layers: list[Mapping[str, Any]]) -> str:
    every = sum(int(row.get("parameters") or 0) for row in layers)
    trained = sum(int(row.get("trained") or 0) for row in layers)
    return f" {every:,} parameters, {trained:,} of them trained here." if every else ""


def kind(facts: CardFacts) -> str:
    """What sort of model it is, in one sentence."""
    name = facts.record.get("backbone")
    if not name:
        return ""
    rows = [row for row in facts.record.get("layers") or [] if row.get("where") == "backbone"]
    how = "fine-tuned" if any(row.get("trained") for row in rows) else "frozen"
    return f"A neural network that classifies images: {name}{f', {how}' if rows else ''}."


def preparation(facts: CardFacts) -> str:
    """Every step from the decoded image to the network's pixels."""
    made = facts.record.get("preparation")
    if isinstance(made, Mapping):
        steps = plain_value(made.get("steps") or [])
        return f"{steps}; grey levels normalised as {made.get('normalise')}."
    return f"{plain_value(made)}." if made else ""


def software(facts: CardFacts) -> str:
    """Versions of what computed the run, and on what."""
    found = facts.run.section("environment")
    named = [f"{name} {found[name]}" for name in VERSIONS if found.get(name)]
    system = f" on {found['system']}" if found.get("system") else ""
    cores = f", {count(found['cores'], 'core')}" if isinstance(found.get("cores"), int) else ""
    return f"{', '.join(named)}{system}{cores}." if named else ""


def initialisation(facts: CardFacts) -> str:
    """Where the weights came from before training."""
    record = facts.record
    if not record.get("weights"):
        return ""
    digest = record.get("weights_digest")
    named = f" (digest {str(digest)[:12]})" if digest else ""
    licence = (
        f" Their licence: {record['weights_licence']}." if record.get("weights_licence") else ""
    )
    lineage = f" Lineage: {record['lineage']}." if record.get("lineage") else ""
    return f"Backbone weights: {record['weights']}{named}.{licence}{lineage}"


def training(facts: CardFacts) -> str:
    """Stages, their settings, augmentation and balance, as the recipe was resolved."""
    plan = facts.run.recipe.get("train") or {}
    stages = [row for row in plan.get("stages") or [] if isinstance(row, Mapping)]
    if not stages:
        return ""
    told = "; ".join(f"Stage {row.get('name')}: {_stage(row)}" for row in stages)
    return (
        f"{told}. Augmentation: {_augmentation(facts)}. Balance: {plan.get('balance', 'none')}."
        f"{_of_cell(facts)}"
    )


def _of_cell(facts: CardFacts) -> str:
    """Where the recipe has several models: what the reported one changes of these settings."""
    recipe, cell = facts.run.recipe, facts.run.cell
    if not (recipe.get("grid") or recipe.get("arms")):
        return ""
    changes = (recipe.get("arms") or {}).get(cell.split(",")[0]) or {}
    told = f" changes {plain_value(changes)}" if changes else " follows the grid in recipe.toml"
    return f" The model of cell {cell}{told}."


def _stage(row: Mapping[str, Any]) -> str:
    if row.get("optimiser") == QUIET["optimiser"]:
        return f"{row.get('trainable')}, logistic regression by L-BFGS, L2 chosen on validation"
    parts = [f"{key.replace('_', ' ')} {plain_value(row[key])}" for key in STAGE if row.get(key)]
    schedule = row.get("schedule") or {}
    parts += [f"schedule {schedule['kind']}"] if schedule.get("kind") else []
    return ", ".join(parts)


def _augmentation(facts: CardFacts) -> str:
    plan = facts.run.recipe.get("augment") or {}
    if not plan.get("views"):
        return "none"
    ranges = ", ".join(
        f"{key.replace('_', ' ')} {plan[key]:g}" for key in AUGMENTED if plan.get(key)
    )
    return f"{plan['views']} altered copies of each image ({ranges})"


def balance(facts: CardFacts) -> str:
    """What was done about classes of different size, and the temperature that followed."""
    how = (facts.run.recipe.get("train") or {}).get("balance")
    if how is None:
        return ""
    done = "No balancing." if how == "none" else f"Classes balanced by {how}."
    return f"{done} {calibration(facts)}".strip()


def calibration(facts: CardFacts) -> str:
    """The temperature, and that it was fitted on validation images."""
    value = facts.record.get("temperature")
    if not isinstance(value, int | float):
        return ""
    return f"Logits are divided by a temperature of {value:.3f}, fitted on the validation images."


def updating(facts: CardFacts) -> str:
    """That nothing was changed after the test."""
    if not facts.scores:
        return ""
    return f"No: nothing was changed after the test. {calibration(facts)}".strip()


def selection(facts: CardFacts) -> str:
    """How the model in the folder was chosen among the run's."""
    cells = list(dict.fromkeys(str(row.get("cell")) for row in facts.run.scores))
    if not cells or facts.external:
        return ""
    loss = (facts.model.get("provenance") or {}).get("validation_log_loss")
    told = f" (log loss {loss:.3f})" if isinstance(loss, int | float) else ""
    among = "the only model of the run" if len(cells) == 1 else f"one of {len(cells)} models"
    return (
        f"{facts.run.cell}: {among}. Whatever was chosen was chosen on validation images{told}; "
        "test images choose nothing."
    )


def ensemble(facts: CardFacts) -> str:
    """What is averaged for an answer."""
    record = facts.record
    if "mirror" not in record:
        return ""
    mirrored = (
        "the mean of the film and of its mirror image" if record["mirror"] else "the film alone"
    )
    others = _beside(record) or ", with no second network"
    return f"No ensemble of trained models: an answer is {mirrored}{others}."


def thresholds(facts: CardFacts) -> str:
    """The probabilities, and the thresholds that validation images set."""
    values = facts.record.get("thresholds") or {}
    named = ", ".join(f"{class_name(str(k))} {v:.3f}" for k, v in values.items())
    shown = f" Thresholds for 90% sensitivity on the validation images: {named}." if named else ""
    if not facts.run.classes:
        return ""
    return (
        f"A calibrated probability for each of {facts.classes}; the most probable class is the "
        f"answer.{shown} The model abstains where it cannot narrow the answer to one class."
    )


def protocol(facts: CardFacts) -> str:
    """Where every setting of the run stands."""
    command = facts.run.section("environment").get("command")
    if not facts.run.recipe and not command:
        return ""
    paper = facts.run.recipe.get("paper") or {}
    study = f" It follows {paper['reference']}." if paper.get("reference") else ""
    called = f" Command: {command}." if command else ""
    return f"recipe.toml in the run's folder holds every setting.{called}{study}"


def code(facts: CardFacts) -> str:
    """Which code made the run, and in which version."""
    version = facts.run.section("environment").get("hilum")
    return f"hilum {version} (Apache-2.0), with the recipe in recipe.toml." if version else ""


def specification(facts: CardFacts) -> str:
    """What of the model can be had, and its digest."""
    digest = facts.record.get("preparation_digest")
    if not facts.model:
        return ""
    return (
        "The folder model/ holds preparation, network, head, temperature, thresholds and verdict; "
        f"hilum predict, hilum.load_model and hilum export read it. Preparation digest {digest}."
    )


def input_quality(facts: CardFacts) -> str:
    """What the model does with films that are no films of its kind."""
    found = facts.audit("C-22")
    if found is None:
        return ""
    return (
        "Files that cannot be read, and images unlike the training set, are refused with a reason. "
        f"{found.get('sentence')}"
    )
