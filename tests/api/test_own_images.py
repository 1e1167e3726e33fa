"""What train, evaluate and open_data take beside a path is what the command line takes."""

import inspect
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest
from typer.main import get_command

import hilum
from hilum.api.own_images import OwnImages, TableColumns
from hilum.datasets.columns import Columns
from hilum.recipes import load_recipe

NAMED = TableColumns("datei", "befund", "person", "haus", "strahlengang", "teil")


@pytest.fixture
def table(world: Path, tmp_path: Path) -> Path:
    """A table whose columns are named in another language; its images lie elsewhere."""
    paths = sorted((world / "films").rglob("*.png"))
    rows = [
        (str(path), path.parent.name, f"P{i // 2}", "ab"[i % 2], "PA", ("train", "test")[i // 30])
        for i, path in enumerate(paths)
    ]
    names = [getattr(NAMED, column.name) for column in fields(TableColumns)]
    pd.DataFrame(rows, columns=names).to_csv(tmp_path / "films.csv", index=False)
    return tmp_path / "films.csv"


def test_columns_by_other_names_are_read(table: Path) -> None:
    found = hilum.open_data(table, columns=NAMED).table
    assert len(found) == 40
    assert set(found["label"]) == {"covid19", "normal"}
    assert found["patient_id"].nunique() == 20
    assert set(found["source"]) == {"a", "b"}
    assert set(found["view"]) == {"PA"}
    assert found["official_part"].value_counts().to_dict() == {"train": 30, "test": 10}
    with pytest.raises(hilum.HilumError, match="--path-column"):
        hilum.open_data(table)


def test_every_column_has_a_place_in_a_manifest_and_an_option() -> None:
    assert set(NAMED.roles()) <= {column.name for column in fields(Columns)}
    assert len(NAMED.roles()) == len(fields(TableColumns)) == 6
    assert TableColumns().roles() == {}
    from hilum.cli.app import app

    root = get_command(app)
    commands = root.commands  # type: ignore[attr-defined]
    for command in (commands["train"], commands["evaluate"], commands["data"].commands["scan"]):
        options = {option for one in command.params for option in one.opts}
        wanted = {f"--{column.name}-column" for column in fields(TableColumns)}
        assert wanted | {"--labels", "--source-tag"} <= options, command.name


@pytest.mark.parametrize("job", [hilum.train, hilum.evaluate, hilum.open_data])
def test_jobs_take_what_commands_take(job: object) -> None:
    names = set(inspect.signature(job).parameters)  # type: ignore[arg-type]
    assert {column.name for column in fields(OwnImages)} <= names


def test_a_recipe_gets_the_same(table: Path) -> None:
    own = OwnImages(NAMED, source_tag=None)
    (data,) = load_recipe("default", changes=[own.change(table)]).data
    assert data.path == str(table)
    assert data.columns == NAMED.roles()
    tagged = OwnImages(labels=table, source_tag="none").change(table.parent)
    (data,) = load_recipe("default", changes=[tagged]).data
    assert (data.labels, data.source_tag) == (str(table), "none")


def test_two_sources_are_refused() -> None:
    with pytest.raises(hilum.HilumError, match="leave one out"):
        OwnImages(TableColumns(source="haus"), source_tag="StationName")


def test_labels_from_anywhere_label_a_folder(table: Path, world: Path) -> None:
    found = hilum.open_data(
        world / "films", labels=table, columns=TableColumns(path="datei", label="befund")
    )
    assert len(found.table) == 40
