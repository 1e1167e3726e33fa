"""hilum init: a commented recipe for a user's own images."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hilum.api.own_images import OwnImages
from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.cli.own_image_options import with_own_image_options
from hilum.progress import StepName
from hilum.types import CLASS_NAMES, HilumError, as_path

FIX = "patients.csv"  # in what both the scan and the recipe say of unknown patients


@app.command()
@with_own_image_options
def init(
    folder: Annotated[
        Path, typer.Argument(help="A folder per class, a CSV table, or a DICOM tree.")
    ],
    own: OwnImages,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; default: ./NAME.toml.")
    ] = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Look at your images and write a commented recipe for them, ready for `hilum run`."""
    from hilum import files, recipes
    from hilum.data import manifest as manifests
    from hilum.data import scan as scanning
    from hilum.recipes import own_images

    screen = terminal(as_json, verbose, quiet)
    name = own_images.name_for(str(as_path(folder)))
    file = _free(out if out is not None else Path(f"{name}.toml"))
    headers = screen.step_later(StepName("read headers", "headers"))
    with screen.working():
        manifest = own.open(folder, headers)
        scanned = scanning.scan(
            manifest, progress=screen.step_later(StepName("read headers of a sample", "headers"))
        )
    recipe = recipes.load_recipe("default", changes=[own.change(folder)])
    found = own_images.FoundImages(
        recipe.data[0],
        scanned,
        manifests.require_classes(manifest),
        int(manifest.table["mask_path"].notna().sum()),
    )
    text = own_images.commented_recipe(found, recipe, shlex.quote(str(file)))
    with files.atomic_write(file) as path:
        path.write_text(text, encoding="utf-8")
    rows = [(CLASS_NAMES.get(one, one), f"{scanned.classes[one]:,}") for one in found.classes]
    screen.table("Classes", ("class", "images"), rows)
    screen.left_out(scanned.left_out)
    remark = own_images.advice(found)
    said = [note for note in scanned.notes if FIX not in note or not any(FIX in r for r in remark)]
    screen.notes((*said, *remark))
    screen.gap()
    screen.point("Recipe", file.resolve())
    command = f"hilum run {shlex.quote(str(file))}"
    screen.point("Next", f"{command} --dry-run, then {command} --out OUT")
    screen.give(
        {"recipe": str(file.resolve()), "name": name, "advice": remark, "scan": asdict(scanned)}
    )


def _free(file: Path) -> Path:
    """The file to write. Raises HilumError where something is there already."""
    if file.is_dir():
        raise HilumError(
            f"--out must be a file such as {file / 'recipe.toml'}; got the folder {str(file)!r}; "
            "name a file in it."
        )
    if file.exists() or file.is_symlink():
        raise HilumError(
            f"init writes a new file and changes none; got {str(file)!r}, which exists; "
            "name another with --out, or delete it."
        )
    if file.suffix.lower() != ".toml":
        raise HilumError(
            f"--out must be a file that ends in .toml; got {str(file)!r}; "
            f"use {str(file.with_name(file.name + '.toml'))!r}."
        )
    return file
