"""The reference pages, from the tables and names of the code itself: never out of date.

`conf.py` writes them below the staged pages; nothing of them is kept in the repository.
"""

import dataclasses
import inspect
from collections.abc import Iterable
from pathlib import Path

from code_facts import fields_of
from markdown_parts import code, table
from reference_of_code import command_line_page, python_page, recipe_keys_page

from hilum import recipes
from hilum.audits import AUDITS
from hilum.audits.base import AuditRule
from hilum.datasets.base import DatasetCard
from hilum.datasets.registry import DATASETS
from hilum.metrics.registry import METRICS, Metric
from hilum.models.cards import BACKBONES
from hilum.preprocess import STEPS
from hilum.preprocess.step import Step
from hilum.report.figures.base import ReportFigure
from hilum.report.figures.registry import FIGURES

ROOT = Path(__file__).resolve().parents[2]
PLACES = {"never": "stay where they are", "by size": "move by the image's size alone",
          "by content": "move by what the image shows"}  # fmt: skip


def pages() -> dict[str, str]:
    """File name -> Markdown of every generated page, in the order of the reference's contents."""
    return {
        "python.md": python_page(),
        "command_line.md": command_line_page(),
        "recipe_keys.md": recipe_keys_page(),
        "recipes_that_come_with_hilum.md": recipes_page(),
        "datasets.md": datasets_page(),
        "steps.md": steps_page(),
        "backbones.md": backbones_page(),
        "metric_table.md": metrics_page(),
        "audit_rules.md": audits_page(),
        "figures.md": figures_page(),
        "examples.md": examples_page(),
    }


def recipes_page() -> str:
    """Every built-in recipe: what it asks, what it costs, its tasks and limits."""
    parts = [
        "# Built-in recipes\n\n`hilum run NAME` runs one, `hilum show NAME` prints it in full."
    ]
    for name in recipes.recipe_names():
        recipe = recipes.load_recipe(name)
        paper = recipe.paper
        facts = [
            ("Run time", recipe.cost),
            ("Paper", ", ".join(filter(None, (paper.authors, str(paper.year or ""), paper.title)))),
            ("Reference", paper.reference),
            (
                "Data",
                _listed(dict.fromkeys(code(d.card or d.path or "phantom") for d in recipe.data)),
            ),
            ("Classes", _listed(map(code, recipe.classes)) or "as found in the data"),
            ("Backbone", code(recipe.model.backbone)),
            ("Arms", _listed(map(code, recipe.arms))),
            ("Tasks", _listed(map(code, recipe.tasks))),
            ("Published numbers", str(len(recipe.published) or "")),
        ]
        parts += [f"## {name}", f"{recipe.title}.", _facts(facts)]
        parts += [f"- {limit}" for limit in recipe.limits]
    return "\n\n".join(parts) + "\n"


def datasets_page() -> str:
    """Every public dataset's card."""
    parts = [
        "# Datasets\n\nThe public datasets whose published layouts hilum reads. A folder is "
        "recognised by what lies in it, in this order. `hilum data list` prints them."
    ]
    for row in DATASETS.values():
        parts += [f"## {row.card.name}", f"{row.card.title}.", _facts(_card(row.card))]
    return "\n\n".join(parts) + "\n"


def _card(card: DatasetCard) -> list[tuple[str, str]]:
    labels = [f"{code(k)} → {code(v)}" for k, v in card.label_map.items()]
    return [
        ("Folder", ", ".join(map(code, card.folders))),
        ("Modality", card.modality),
        ("Population", f"{card.population} (age: {card.single_age})"),
        ("Patients", "identified" if card.patient_ids else "not identified"),
        ("Labels", ", ".join(labels)),
        ("Known shortcuts", "; ".join(card.known_shortcuts)),
        ("Holds images of", ", ".join(map(code, card.mixes))),
        ("Lung masks", str(card.convention) if card.convention else ""),
        ("Licence", card.licence),
        ("Citation", card.citation),
        ("Home page", f"<{card.homepage}>"),
        ("How to get it", card.access),
        ("Fetched by hilum", f"`hilum data fetch {card.name}`" if card.download else "no"),
    ]


def steps_page() -> str:
    """Every preprocessing step with its parameters."""
    parts = [
        "# Preprocessing steps\n\nThe steps that `prepare.steps` of a recipe and `hilum prepare "
        "--steps` can name. They run in the order in which they are listed, and travel with the "
        "weights."
    ]
    for name, step in STEPS.items():
        doc = inspect.getdoc(step) or ""
        rows = _parameters(step)
        parts += [f"## {name}", doc, f"Pixels {PLACES[step.moves_pixels]}."]
        parts.append(table(("parameter", "type", "default", "what it is"), rows) if rows
                     else "No parameters.")  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _parameters(step: type[Step]) -> list[tuple[str, str, str, str]]:
    known = {f.name: f for base in reversed(step.__mro__) if dataclasses.is_dataclass(base)
             for f in fields_of(base)}  # fmt: skip
    rows = []
    for field in dataclasses.fields(step):  # type: ignore[arg-type]
        if field.metadata.get("parameter", True):
            facts = known[field.name]
            rows.append(
                (code(field.name), code(facts.annotation), code(repr(field.default)), facts.comment)
            )
    return rows


def backbones_page() -> str:
    """Every backbone: input, features, weights, licence."""
    rows = [
        (
            ", ".join(map(code, (card.name, *card.aliases))),
            str(card.side),
            str(card.features),
            card.weights,
            card.licence,
            card.citation,
        )
        for card in BACKBONES.values()
    ]
    head = ("name, aliases", "pixels", "features", "ImageNet weights", "licence", "citation")
    return (
        "# Backbones\n\nThe networks that hilum has a card for. `model.backbone` takes any other "
        f"name of timm as well.\n\n{table(head, rows)}\n"
    )


def metrics_page() -> str:
    """Every metric's row."""
    rows = [
        (
            ", ".join(map(code, (row.name, *row.aliases))),
            row.title,
            row.definition,
            ", ".join(row.scopes),
            "higher" if row.higher_is_better else "lower",
            _interval(row),
        )
        for row in METRICS.values()
    ]
    head = ("name, other names", "title", "what it is", "over", "better", "interval")
    return (
        "# Table of metrics\n\nEach metric that hilum computes. [Metrics](../metrics.md) says how "
        f"they are averaged and compared.\n\n{table(head, rows)}\n"
    )


def _interval(row: Metric) -> str:
    if row.share is not None:
        return "Wilson"
    return {"delong": "DeLong", "basic": "basic bootstrap"}.get(row.interval, "bootstrap")


def audits_page() -> str:
    """Every audit's rule, as the report cites it."""
    parts = [
        "# Audit rules\n\nThe rule of each audit, by number. [Audits](../audits.md) explains the "
        "questions, the controls and how often the answers are right."
    ]
    for row in AUDITS.values():
        rule = row.rule
        facts = [
            ("Rule", f"{rule.rule}."),
            ("Source", rule.source),
            ("Run by", "`hilum audit` only" if rule.expensive else "every run and external test"),
            ("When", "before training, from images and split alone" if rule.before_training
             else "after training"),
            ("Severity", str(rule.severity)),
            ("About", _about(rule)),
        ]  # fmt: skip
        parts += [f"## {rule.id} {rule.title}", _facts(facts)]
    return "\n\n".join(parts) + "\n"


def _about(rule: AuditRule) -> str:
    leak = "leaks between the parts of the split" if rule.leakage else ""
    whole = "the whole set: a failure holds on few test images too" if rule.whole_set else ""
    return "; ".join(filter(None, (leak, whole)))


def figures_page() -> str:
    """Every figure of the report: always drawn, or on request."""
    always = [row for row in FIGURES.values() if not row.asked_as]
    asked = [row for row in FIGURES.values() if row.asked_as]
    head = ("files", "title", "section", "needs")
    named = [(code(row.asked_as), *_figure(row)) for row in asked]
    return (
        "# Figures\n\nEach figure is a PNG in `figures/` with its data as a CSV of the same "
        f"name.\n\n## In every report\n\n{table(head, map(_figure, always))}\n\n"
        "## On request\n\nA recipe's `figures` lists these by name.\n\n"
        f"{table(('name in a recipe', *head), named)}\n"
    )


def _figure(row: ReportFigure) -> tuple[str, ...]:
    return code(f"{row.name}.png"), row.title, row.section, row.needs


def examples_page() -> str:
    """The scripts of `examples/`, in full."""
    parts = ["# Example scripts\n\nEach runs as its first lines say. The tests run all of them."]
    for path in sorted((ROOT / "examples").glob("*.py")):
        parts += [f"## {path.name}", f"```python\n{path.read_text(encoding='utf-8')}```"]
    return "\n\n".join(parts) + "\n"


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return table(("", ""), [(name, text) for name, text in facts if text])


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
