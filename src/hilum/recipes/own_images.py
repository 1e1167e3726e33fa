"""A recipe for a user's own images, with a comment at every key: what `hilum init` writes."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import tomli_w

from hilum.data.scan import UNKNOWN, Scan
from hilum.recipes.load import recipe_names
from hilum.recipes.schema import DataSet, Recipe

TEMPLATES = Path(__file__).parent / "templates"
MOST = 8  # values of one kind that are listed
UNEVEN = 3  # times the images of the smallest class: more are worth a remark


@dataclass(frozen=True, slots=True)
class FoundImages:
    """A user's images as they were found: where, their counts, their classes, lung masks."""

    data: DataSet
    scan: Scan
    classes: list[str]
    masks: int


def name_for(path: str) -> str:
    """A recipe's name from that of a folder or table; never one of hilum's own."""
    plain = unicodedata.normalize("NFKD", Path(path).stem).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9_-]+", "_", plain).strip("_") or "images"
    return f"{words}_images" if words in recipe_names() else words


def commented_recipe(found: FoundImages, default: Recipe, file: str) -> str:
    """TOML with a comment at every key: the settings of `default`, for the images that were found.

    `file`: how the recipe's file is named in the commands of its first lines.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701 - TOML; every value passes one of the filters below
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"toml": _value, "words": _words}
    counts = {name: found.scan.classes[name] for name in found.classes}
    largest, smallest = max(counts, key=counts.__getitem__), min(counts.values())
    return environment.get_template("own_images.toml.jinja").render(
        place=found.data.path,
        file=file,
        found=[*_found(found), *found.scan.notes],
        advice=advice(found),
        name=name_for(found.data.path),
        title=f"{Path(found.data.path).name}: {' or '.join(found.classes)}",
        classes=found.classes,
        masks=found.masks,
        data=found.data,
        default=default,
        keep=_choices(found.scan),
        largest=largest,
        smallest_count=smallest,
        imbalance=counts[largest] / smallest,
        own_split=_own_split(found.scan),
    )


def advice(found: FoundImages) -> list[str]:
    """What of the images a result will depend on, and what can be done about it."""
    scan = found.scan
    counts = [scan.classes[name] for name in found.classes]
    remarks = {
        "No patient is known: put a patients.csv (columns: path, patient_id) next to the images. "
        "Without it, images of one patient may be in training and in the test.": not scan.patients,
        "No source gave images of two classes: a model can then tell the classes apart by the "
        "hospital. Add images of each class from each source.": _apart(found),
        f"The largest class has {max(counts) / min(counts):.1f} times the images of the smallest: "
        'balance = "weights" lets both count alike.': max(counts) >= UNEVEN * min(counts),
        "Radiographs and CT slices are mixed: hilum refuses that unless "
        'modalities = "mixed" is set.': len(_known(scan.modalities)) > 1,
    }
    return [sentence for sentence, holds in remarks.items() if holds]


def _apart(found: FoundImages) -> bool:
    """Whether the sources are known and none has images of two classes."""
    per_class = [_known(found.scan.by_source.get(name, {})) for name in found.classes]
    sources = [source for counts in per_class for source in counts]
    return len(set(sources)) == len(sources) > 1 and all(per_class)


def _found(found: FoundImages) -> list[str]:
    """What was counted, a line each; without what is unknown everywhere."""
    scan = found.scan
    known = f"of {scan.patients:,} patients" if scan.patients else "of unknown patients"
    left_out = sum(item.count for item in scan.left_out)
    broken = f", {scan.headers_broken:,} of them cannot be read" if scan.headers_broken else ""
    lines = [f"{scan.images:,} images {known}{broken}"]
    kinds = {
        "classes": {name: scan.classes[name] for name in found.classes},
        "sources": scan.sources,
        "views": scan.views,
        "modality": scan.modalities,
        "parts of a split": scan.parts,
        f"format ({scan.headers_read:,} headers)": scan.formats,
    }
    lines += [f"{kind}: {_listed(counts)}" for kind, counts in kinds.items() if _known(counts)]
    if found.masks:
        lines.append(f"lung masks: {found.masks:,}")
    if left_out:
        lines.append(f"left out: {left_out:,} (`hilum data scan` lists them)")
    return lines


def _own_split(scan: Scan) -> str:
    if parts := _known(scan.parts):
        return f"the split that comes with the images ({_listed(parts)})."
    return "no split comes with the images: one part is held out, or 5 folds if it would be small."


def _choices(scan: Scan) -> dict[str, list[str]]:
    """Of view and source, where there are several: the commonest."""
    kinds = {"view": _known(scan.views), "source": _known(scan.sources)}
    return {kind: [next(iter(counts))] for kind, counts in kinds.items() if len(counts) > 1}


def _known(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if name != UNKNOWN}


def _listed(counts: Mapping[str, int]) -> str:
    words = [f"{name} {count:,}" for name, count in list(counts.items())[:MOST]]
    more = len(counts) - MOST
    return ", ".join(words) + (f", {more} more" if more > 0 else "")


def _words(value: object) -> str:
    """Text for a comment: what would end its line is replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))


def _value(value: Any) -> str:
    """A value of TOML on one line."""
    if isinstance(value, Mapping):
        pairs = (f"{_value(str(key))} = {_value(item)}" for key, item in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n")
