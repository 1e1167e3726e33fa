"""The options of commands that read a user's own images, declared once."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from hilum.api.own_images import OwnImages, TableColumns

OWN = "own"  # the parameter that the options take the place of
LABELS = (
    "CSV file, in any place, that labels the folder's images by path, SOPInstanceUID, "
    "StudyInstanceUID, AccessionNumber or PatientID."
)
SOURCE_TAG = (
    "DICOM element that names the source of an image (its hospital or scanner), such as "
    "InstitutionName or StationName; none: use no element."
)
HELD = {
    "path": "image files",
    "label": "classes",
    "patient": "patients",
    "source": "hospitals",
    "view": "views: PA, AP, lateral",
    "split": "split: train, validation, test",
}  # what each of TableColumns holds


def _options() -> dict[str, Any]:
    """Name of a parameter -> its annotation, in the order of the help."""
    options: dict[str, Any] = {"labels": Annotated[Path | None, typer.Option(help=LABELS)]}
    for column in fields(TableColumns):
        held = f"Column of the table with the {HELD[column.name]}."
        option = typer.Option(f"--{column.name}-column", help=held)
        options[f"{column.name}_column"] = Annotated[str | None, option]
    return {**options, "source_tag": Annotated[str | None, typer.Option(help=SOURCE_TAG)]}


OPTIONS = _options()


def with_own_image_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with OPTIONS in the place of its parameter `own`, which is made of them."""

    # typer calls with keywords, those that the signature below names: nothing else arrives here
    @functools.wraps(command)
    def parsed(**values_by_name: Any) -> None:
        values = {name: values_by_name.pop(name) for name in OPTIONS}
        names = {c.name: values[f"{c.name}_column"] for c in fields(TableColumns)}
        own = OwnImages(TableColumns(**names), values["labels"], values["source_tag"])
        command(**values_by_name, **{OWN: own})

    parameters = []
    for parameter in inspect.signature(command).parameters.values():
        parameters += _parameters() if parameter.name == OWN else [parameter]
    return with_parameters(parsed, parameters)


def with_parameters(
    command: Callable[..., None], parameters: list[inspect.Parameter]
) -> Callable[..., None]:
    """The command, which typer takes to have these parameters."""
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


def _parameters() -> list[inspect.Parameter]:
    keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return [
        inspect.Parameter(name, keyword, default=None, annotation=annotation)
        for name, annotation in OPTIONS.items()
    ]
