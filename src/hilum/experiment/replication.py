"""Whether a run repeats the paper that it is compared with, and if not, where it departs.

Nothing here is written by hand for a study: the recipe's published mode says what the paper did.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hilum import recipes
from hilum.datasets.registry import DATASETS
from hilum.models.cards import BACKBONES
from hilum.recipes import DataSet, Recipe
from hilum.types import CLASS_NAMES

NAMES = (  # of networks, as their papers spell them
    (re.compile(r"^tf_efficientnet_lite(\d)$"), r"EfficientNet-Lite\1"),
    (re.compile(r"^tf_efficientnet_(b\d)$"), r"EfficientNet-\1"),
    (re.compile(r"^mobilenetv2_100$"), "MobileNetV2"),
    (re.compile(r"^inception_resnet_v2$"), "Inception-ResNet-v2"),
    (re.compile(r"^inception_v3$"), "Inception-v3"),
    (re.compile(r"^resnetv2_(\d+)$"), r"ResNet\1-V2"),
    (re.compile(r"^resnet(\d+)$"), r"ResNet\1"),
    (re.compile(r"^densenet(\d+)$"), r"DenseNet\1"),
    (re.compile(r"^vgg(\d+)$"), r"VGG\1"),
)
IN_WORDS = ("data", "mode", "learns", "classes")  # keys that the sentence describes in words
NETWORK = (("model", "backbone"), ("model", "auxiliary_backbones"))
LISTED = 12  # keys that the sentence names


def replication_sentence(recipe: Recipe) -> str:
    """ "Not a replication: ..., because of ..."; empty where nothing departs from the paper."""
    if not recipe.departures or not recipe.published:
        return ""
    paper = recipes.reference(recipe)
    parts = [*_networks(paper, recipe), *_classes(paper, recipe), *_images(paper, recipe)]
    parts += [f"mode {paper.mode} → {recipe.mode}"] if paper.mode != recipe.mode else []
    others = _other_keys(recipe)
    if not parts:
        parts, others = [f"changed: {_join_keys(others)}"], []
    causes = list(dict.fromkeys(row.because for row in recipe.departures if row.because))
    because = f", because of {' and '.join(causes)}" if causes else ""
    rest = f" Settings that differ too: {_join_keys(others)}." if others else ""
    return f"Not a replication: {'; '.join(parts)}{because}.{rest}"


def departure_rows(recipe: Recipe) -> list[dict[str, Any]]:
    """The departures for `results.json`: key, the paper's value, ours, and what it comes of."""
    tree = recipes.as_tree(recipe)
    return [
        {
            "key": ".".join(row.key),
            "paper": _without_folders(row.paper),
            "ran": _without_folders(_value_at(tree, row.key)),
            "because": row.because,
        }
        for row in (recipe.departures if recipe.published else [])
    ]


def network(name: str) -> str:
    """A backbone's name as its paper spells it; a file's by its last part."""
    card_name = next(
        (card.name for card in BACKBONES.values() if name in (card.name, *card.aliases)), name
    )
    for pattern, spelt in NAMES:
        if pattern.match(card_name):
            return pattern.sub(spelt, card_name)
    return card_name


def _networks(paper: Recipe, ran: Recipe) -> Iterator[str]:
    theirs, ours = (_network_names(recipe) for recipe in (paper, ran))
    if theirs != ours:
        single = len(theirs) == len(ours) == 1
        yield f"network{'' if single else 's'} {', '.join(theirs)} → {', '.join(ours)}"
    files = [_weights(recipe) for recipe in (paper, ran)]
    if files[0] != files[1]:
        yield f"weights {' and '.join(files[0])} → {' and '.join(files[1])}"


def _weights(recipe: Recipe) -> list[str]:
    return sorted(
        {str(_without_folders(cell.model.weights)) for cell in recipes.cells(recipe).values()}
    )


def _network_names(recipe: Recipe) -> list[str]:
    """The networks of every cell, once each."""
    cells = recipes.cells(recipe).values()
    return list(
        dict.fromkeys(
            network(n) for c in cells for n in (c.model.backbone, *c.model.auxiliary_backbones)
        )
    )


def _classes(paper: Recipe, ran: Recipe) -> Iterator[str]:
    if paper.classes != ran.classes:
        yield f"classes {', '.join(paper.classes)} → {', '.join(ran.classes)}"


def _images(paper: Recipe, ran: Recipe) -> Iterator[str]:
    """Substituted datasets, class by class where that is known; else other selections."""
    if paper.data == ran.data:
        return
    changes = []
    for name in ran.classes or [""]:
        theirs, ours = (_sets(recipe, name) for recipe in (paper, ran))
        if theirs != ours:
            of = f"{CLASS_NAMES.get(name, name)} images" if name else "images"
            changes.append(f"{of}: {theirs} → {ours}")
    yield from changes or [
        f"other images of {_sets(ran, '')}: {_selections(paper)} → {_selections(ran)}"
    ]


def _sets(recipe: Recipe, class_: str) -> str:
    """The titles of the sets that may hold the class."""
    sets = [item for item in recipe.data if not class_ or class_ in _labels(item, recipe)]
    return ", ".join(dict.fromkeys(_title(item) for item in sets)) or "none"


def _labels(item: DataSet, recipe: Recipe) -> set[str]:
    """The classes that a set can hold, by its card, its renames and what is kept of it."""
    if item.card not in DATASETS:
        return set(recipe.classes)
    labels = {item.rename.get(name, name) for name in DATASETS[item.card].card.label_map.values()}
    return labels & set(item.keep.get("label", labels))


def _title(item: DataSet) -> str:
    if item.card not in DATASETS:
        return item.card or ("synthetic films" if item.phantom else "own images")
    card = DATASETS[item.card].card
    parts = [DATASETS[name].card.title for name in card.mixes]
    return f"{card.title} (of {' and '.join(parts)})" if parts else card.title


def _selections(recipe: Recipe) -> str:
    """How much of each set is taken, in the recipe's words."""
    selections = []
    for item in recipe.data:
        chosen = [f"{count:,} {CLASS_NAMES.get(name, name)}" for name, count in item.take.items()]
        filters = [f"{key} {' or '.join(map(str, values))}" for key, values in item.keep.items()]
        selections.append(", ".join([*chosen, *filters]) or "all")
    return "; ".join(selections)


def _other_keys(recipe: Recipe) -> list[str]:
    """The other keys, lists of arms and axes by their table."""
    keys = [tuple(row.key) for row in recipe.departures]
    plain = [
        key
        for key in keys
        if key[0] not in IN_WORDS and key not in NETWORK and key != ("model", "weights")
    ]
    return list(dict.fromkeys(".".join(key[:3]) for key in plain))


def _join_keys(keys: list[str]) -> str:
    more = f" and {len(keys) - LISTED} more" if len(keys) > LISTED else ""
    return ", ".join(keys[:LISTED]) + more


def _value_at(tree: Any, path: list[str]) -> Any:
    for key in path:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def _without_folders(value: Any) -> Any:
    """The value with absolute paths cut to their last part: results may be passed on."""
    if isinstance(value, Mapping):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_folders(item) for item in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
