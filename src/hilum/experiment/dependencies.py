"""The basis of a run: its images and those of its source tasks and later films, and the rest."""

from collections.abc import Iterator, Mapping

import pandas as pd

from hilum import files, recipes
from hilum.data import manifest as manifests
from hilum.data import prepared_dataset
from hilum.experiment import dataset, run_basis, source_task
from hilum.experiment.context import RunContext, preprocessing_of
from hilum.experiment.run_basis import Basis
from hilum.models import backbones, weights
from hilum.recipes import Recipe
from hilum.types import HilumError, Manifest, Split


def run_dependencies(run: RunContext) -> Basis:
    """The inputs of every fold and figure of the run; files are hashed again, none is decoded.

    Data of a source task or of later films that cannot be read count as none: the error is
    raised where they are used.
    """
    cells = [cell for name, cell in recipes.cells(run.recipe).items() if name not in run.refused]
    sets = [run_basis.basis_rows(run.dataset.manifest.table, run_basis.STUDY)]
    sets += [
        run_basis.basis_rows(manifest.table, name)
        for name, manifest in _other_manifests(run, cells)
    ]
    if run.main_manifest is not None and any(map(source_task.enabled, cells)):
        main = prepared_dataset.hashed(manifests.read_manifest(run.main_manifest)).table
        sets.append(run_basis.basis_rows(main, "the main question"))
    preparations = sorted({preprocessing_of(cell).digest for cell in cells})
    facts = {
        **run_basis.VERSIONS,
        **dict(sorted(_weights(cells))),
        "the preparation": files.stable_digest(preparations),
        **_splits(run.splits),
    }
    return Basis(pd.concat(sets, ignore_index=True), facts)


def of_pairs(recipe: Recipe, manifest: Manifest, splits: Mapping[int, Split]) -> Basis:
    """The same for a network that outlines lungs: images and masks, and the encoder's weights."""
    facts = {**run_basis.VERSIONS, **dict(_weights([recipe])), **_splits(splits)}
    return Basis(run_basis.basis_rows(manifest.table, run_basis.STUDY), facts)


def _splits(splits: Mapping[int, Split]) -> dict[str, str]:
    return {
        f"the split of seed {seed}": run_basis.of_split(split) for seed, split in splits.items()
    }


def _other_manifests(run: RunContext, cells: list[Recipe]) -> Iterator[tuple[str, Manifest]]:
    """The images of every source task, each once, and of the later films."""
    tasks: dict[str, Recipe] = {}
    for cell in cells:
        if cell.source_task is not None and source_task.enabled(cell):
            source = source_task.as_recipe(cell, cell.source_task)
            tasks.setdefault(repr((source.classes, source.data, source.split.seed)), source)
    for number, source in enumerate(tasks.values()):
        name = run_basis.SOURCE if number == 0 else f"{run_basis.SOURCE} {number + 1}"
        try:
            yield (
                name,
                prepared_dataset.hashed(
                    dataset.load_manifest(source, run.root, run.out / "source")
                ),
            )
        except HilumError:
            continue
    if run.recipe.external_tests:
        study = run.dataset.manifest
        try:
            later = dataset.load_later_manifest(run.recipe, run.root, run.out / "later", study)
            yield run_basis.LATER, prepared_dataset.hashed(later)
        except HilumError:
            return


def _weights(cells: list[Recipe]) -> Iterator[tuple[str, str]]:
    """Digests of the files of weights, the same file once."""
    backbones_used = {(cell.model.backbone, cell.model.weights) for cell in cells}
    backbones_used |= {
        (name, "imagenet") for cell in cells for name in cell.model.auxiliary_backbones
    }
    for name, which in backbones_used:
        path = weights.file_of(backbones.backbone_card(name), which)
        fact = f"the weights of {name}" + ("" if which in ("imagenet", "random") else f" ({which})")
        yield fact, "random" if path is None else run_basis.of_file(path)
