"""The YAML block that a Hugging Face model card begins with."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from hilum.metrics import registry
from hilum.models.cards import known_card
from hilum.report.cards.facts import CardFacts, score_text

NAMES = {"auroc": "roc_auc", "auprc": "average_precision", "mcc": "matthews_correlation",
         "sensitivity": "recall"}  # fmt: skip  # what the hub calls a metric
SHOWN = ("accuracy", "balanced_accuracy", "f1", "auroc", "sensitivity", "precision", "mcc", "ece")
# YAML 1.1 forbids these in a document, or ends a line at them; JSON would leave them as they are
ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def front_matter(facts: CardFacts, licence: str = "") -> str:
    """The block, fences included. https://huggingface.co/docs/hub/model-cards."""
    return "\n".join(["---", *_lines(card_data(facts, licence)), "---"]) + "\n"


def card_data(facts: CardFacts, licence: str = "") -> dict[str, Any]:
    """What the block holds; a licence that nobody has chosen is said to be none."""
    chosen = {"license": licence} if licence else {"license": "other", "license_name": "not-chosen"}
    base = _base_model(facts.model.get("backbone") or {})
    metrics = list(dict.fromkeys(_hub_name(str(row["name"])) for row in _shown(facts)))
    return {
        **chosen,
        "library_name": "hilum",
        "pipeline_tag": "image-classification",
        "tags": _tags(facts),
        **({"base_model": base} if base else {}),
        **({"metrics": metrics} if metrics else {}),
        **({"model-index": [_index(facts)]} if metrics else {}),
    }


def _base_model(backbone: Mapping[str, Any]) -> str:
    """The hub's name of what the backbone began with, "" where the hub has none."""
    card = known_card(str(backbone.get("name", "")))
    if card is not None and card.layout:
        return card.repository
    return f"timm/{backbone['timm_name']}" if backbone.get("timm_name") else ""


def _tags(facts: CardFacts) -> list[str]:
    table = facts.images()
    kinds = set() if table is None else set(table["modality"].dropna())
    named = {"X-ray": "chest-x-ray", "CT": "chest-ct"}
    found = [named[kind] for kind in sorted(kinds) if kind in named]
    return ["hilum", "image-classification", "medical-imaging", *found, "research-use-only"]


def _shown(facts: CardFacts) -> list[dict[str, Any]]:
    rows = [facts.score(*registry.METRICS[name].key) for name in SHOWN]
    return [row for row in rows if row is not None and math.isfinite(row["value"])]


def _hub_name(name: str) -> str:
    return NAMES.get(name, name)


def _index(facts: CardFacts) -> dict[str, Any]:
    named = [str(row.get("title") or row.get("name")) for row in _sets(facts)]
    kind = "images of elsewhere" if facts.external else "test part"
    dataset = {
        "name": facts.clean(f"{', '.join(named) or 'not recorded'} ({kind})"),
        "type": "hilum",
        "split": "test",
    }
    rows = [
        {"type": _hub_name(str(row["name"])), "value": row["value"], "name": score_text(row)}
        for row in _shown(facts)
    ]
    result = {"task": {"type": "image-classification"}, "dataset": dataset, "metrics": rows}
    return {"name": facts.clean(facts.title), "results": [result]}


def _sets(facts: CardFacts) -> list[Mapping[str, Any]]:
    sets = facts.run.section("data").get("sets") or []
    rows = sets.values() if isinstance(sets, Mapping) else sets
    return [row for row in rows if isinstance(row, Mapping)]


def _lines(value: Mapping[str, Any], indent: str = "") -> list[str]:
    """A mapping in block style; scalars are JSON, which YAML reads alike."""
    lines = []
    for key, item in value.items():
        if isinstance(item, Mapping):
            lines += [f"{indent}{key}:", *_lines(item, f"{indent}  ")]
        elif isinstance(item, list):
            lines += [f"{indent}{key}:", *_items(item, indent)]
        else:
            lines.append(f"{indent}{key}: {_scalar(item)}")
    return lines


def _items(values: list[Any], indent: str) -> list[str]:
    lines = []
    for item in values:
        if isinstance(item, Mapping):
            first, *rest = _lines(item, f"{indent}  ")
            lines += [f"{indent}- {first.strip()}", *rest]
        else:
            lines.append(f"{indent}- {_scalar(item)}")
    return lines


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return ESCAPED.sub(_escape, json.dumps(value, ensure_ascii=False))
    return json.dumps(value)


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    return "\\ufffd" if 0xD800 <= number < 0xE000 or number > 0xFFF0 else f"\\u{number:04x}"
