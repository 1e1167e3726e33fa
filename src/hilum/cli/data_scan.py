"""hilum data scan: what is in a set of images, before anything is trained on it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.api.own_images import OwnImages
from hilum.cli.app import Data, Json, Quiet, Verbose, terminal
from hilum.cli.data import data as commands
from hilum.cli.open_data import open_set, title
from hilum.cli.own_image_options import with_own_image_options
from hilum.cli.shard_options import Ray, Workers
from hilum.cli.terminal import Terminal
from hilum.progress import StepName
from hilum.types import CLASS_NAMES

if TYPE_CHECKING:
    from hilum.data.scan import Scan, ValueSpread

MOST = 8  # values of one kind that are listed


@commands.command()
@with_own_image_options
def scan(
    path: Annotated[str, typer.Argument(help="Folder, table, or a name from `hilum data list`.")],
    own: OwnImages,
    data: Data = None,
    workers: Workers = 1,
    ray: Ray = "",
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Count images by class, source, patient, view and size; list what is left out, and why."""
    from hilum.data import scan as scanning
    from hilum.experiment.spread import readers_of_headers

    screen = terminal(as_json, verbose, quiet)
    with screen.working(), readers_of_headers(workers, ray) as readers:
        manifest = open_set(path, data, screen, own, workers=readers)
        sample = screen.step_later(StepName("read headers of a sample", "headers"))
        scanned = scanning.scan(manifest, progress=sample, workers=readers)
    screen.say(_summary(scanned, title(path)), "bold")
    _classes(scanned, screen)
    _sources(scanned, screen)
    screen.table("Facts", ("fact", "value"), _facts(scanned))
    screen.left_out(scanned.left_out)
    screen.notes(scanned.notes)
    screen.give(scanned)


def _summary(seen: "Scan", name: str) -> str:
    known = f"of {seen.patients:,} patients" if seen.patients else "of unknown patients"
    classes = f"{len(seen.classes)} classes" if len(seen.classes) > 1 else "one class"
    broken = f" {seen.headers_broken:,} of them cannot be read." if seen.headers_broken else ""
    return f"{name}: {seen.images:,} images {known} in {classes}.{broken}"


def _classes(seen: "Scan", screen: Terminal) -> None:
    rows = []
    for name, count in seen.classes.items():
        sizes = list(seen.shapes_by_class.get(name, ()))
        share = f"{count / seen.images:.1%}"
        rows.append((_class(name), f"{count:,}", share, _spread(seen.ages[name]), (*sizes, "–")[0]))
    columns = ("class", "images", "share", "age, years", "commonest size")
    screen.table("Classes", columns, rows)


def _sources(seen: "Scan", screen: Terminal) -> None:
    """Class against source: a source that has one class only gives the label away."""
    sources = list(seen.sources)[:MOST]
    rows = [
        (source, *(_count(seen.by_source[name].get(source, 0)) for name in seen.classes))
        for source in sources
    ]
    if len(seen.sources) > MOST:
        rest = list(seen.sources)[MOST:]
        sums = (sum(seen.by_source[name].get(s, 0) for s in rest) for name in seen.classes)
        rows.append((f"{len(rest)} more", *map(_count, sums)))
    screen.table("Sources", ("source", *map(_class, seen.classes)), rows)


def _facts(seen: "Scan") -> list[tuple[str, str]]:
    per = seen.images_per_patient
    rows = [
        ("patients", f"{seen.patients:,}"),
        ("images of unknown patients", f"{seen.images_without_patient:,}"),
        ("images per patient", _spread(per) if per.known else "–"),
        ("patients in two classes", f"{seen.patients_in_two_classes:,}"),
        ("patients in two parts", f"{seen.patients_in_two_parts:,}"),
    ]
    counted = {
        "parts of its own split": seen.parts,
        "views": seen.views,
        "modality": seen.modalities,
        "sex": seen.sexes,
        "licence": seen.licences,
        f"format ({seen.headers_read:,} headers)": seen.formats,
    }
    rows += [(name, _listed(counts)) for name, counts in counted.items()]
    rows += [(f"{name}, pixels", _spread(seen.sizes[name])) for name in ("width", "height")]
    return [*rows, ("bits per pixel", _spread(seen.sizes["bits"]))]


def _spread(numbers: "ValueSpread") -> str:
    """ "56 (12–94)": median, least and most."""
    if numbers.median is None:
        return "–"
    ends = f"{numbers.least:g}–{numbers.most:g}"
    return f"{numbers.median:g} ({ends})" if numbers.least != numbers.most else f"{numbers.most:g}"


def _listed(counts: Mapping[str, int]) -> str:
    if list(counts) == ["unknown"]:
        return "not stated"
    words = [f"{name} {count:,}" for name, count in list(counts.items())[:MOST]]
    more = len(counts) - MOST
    return ", ".join(words) + (f", {more} more" if more > 0 else "")


def _count(images: int) -> str:
    return f"{images:,}" if images else "–"


def _class(name: str) -> str:
    return CLASS_NAMES.get(name, name)
