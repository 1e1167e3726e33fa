"""One pass of a network for several pools of its maps, where that gives the same bits.

Cells of a grid often differ in their head alone. A network that hands out the widest pool has the
others' features among its own; average and flattened map come out of one network as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hilum import files
from hilum.experiment import cell_network
from hilum.experiment.cell_network import CompiledNetwork
from hilum.inference.model import normalised_backbone
from hilum.models import pools
from hilum.models.backbone import Backbone, BackboneWithMaps
from hilum.models.cards import Pool
from hilum.models.runtime import compiling
from hilum.models.runtime.base import Runtime, Target
from hilum.preprocess import Pipeline
from hilum.recipes import Recipe
from hilum.types import Stack8

Columns: TypeAlias = slice | npt.NDArray[np.int64]  # of a network's outputs
HEAD = ("pool", "head", "hidden", "dropout", "map_dropout", "penalise")  # of a recipe's model
PROBED = 2  # images whose bits are compared before a pass is shared


@dataclass(frozen=True, slots=True)
class PassPlan:
    """A network to run, and which of its outputs are each member's features."""

    runtime: Runtime
    columns: Sequence[tuple[CompiledNetwork, Columns]]


@dataclass(slots=True)
class SharedPass:
    """Networks that differ in their pool alone; what they share is compiled when it is needed."""

    members: tuple[CompiledNetwork, ...]
    normalise: str
    pipeline: Pipeline
    _planned: PassPlan | None = field(default=None, init=False)
    _asked: bool = field(default=False, init=False)

    def plan(self, own: Runtime, stack: Stack8) -> PassPlan | None:
        """How a pass serves `own` and others, or None where it would serve `own` alone.

        Those whose features of the first images (image, height, width) differ in a bit are left
        out.
        """
        if not self._asked:
            self._asked, self._planned = True, self._checked(stack[:PROBED])
        planned = self._planned
        if planned is None or all(network.runtime is not own for network, _ in planned.columns):
            return None
        return planned

    def _checked(self, probe: Stack8) -> PassPlan | None:
        candidate = self._candidate()
        if candidate is None:
            return None
        whole = candidate.runtime(probe)
        same = [
            (network, at)
            for network, at in candidate.columns
            if np.array_equal(network.runtime(probe), whole[:, at])
        ]
        return PassPlan(candidate.runtime, same) if len(same) > 1 else None

    def _candidate(self) -> PassPlan | None:
        averaging = {
            network: pool for network in self.members if (pool := averaged_pool(network.backbone))
        }
        widest = pools.widest([*averaging.values()])
        if len(averaging) > 1 and widest is not None:
            carrier = next(one for one, pool in averaging.items() if pool == widest)
            columns = [
                (one, np.array(carrier.backbone.columns(pool))) for one, pool in averaging.items()
            ]
            return PassPlan(carrier.runtime, columns)
        average = next((one for one, pool in averaging.items() if pool == "average"), None)
        flat = next((one for one in self.members if one.backbone.flat), None)
        if average is None or flat is None:
            return None
        both = BackboneWithMaps(average.backbone)
        network = normalised_backbone(average.backbone, self.normalise, self.pipeline, both)
        target = Target(average.runtime.facts.precision)  # type: ignore[arg-type]
        runtime = compiling.compile_network(network, self.pipeline.shape, target)
        width = average.runtime.facts.outputs
        return PassPlan(runtime, [(average, slice(width)), (flat, slice(width, None))])


def averaged_pool(backbone: Backbone) -> Pool | None:
    """The pool, where its features are means of maps: "last" is the average if there is no more."""
    if backbone.pool == "last" and not backbone.flat:
        return "average"
    return backbone.pool if pools.averages(backbone.pool) else None


def pools_of_cells(cells: Mapping[str, Recipe]) -> dict[str, tuple[Pool, ...]]:
    """Cell -> the pools that it and others with the same network and images ask for, if several.

    Those whose backbone learns from the first stage on ask for none.
    """
    groups: dict[str, list[str]] = {}
    for name, recipe in cells.items():
        if recipe.train.cache and not recipe.train.stages[0].through and not recipe.source_task:
            groups.setdefault(_likeness(recipe), []).append(name)
    asked: dict[str, tuple[Pool, ...]] = {}
    for group in groups.values():
        pools_of_group = dict.fromkeys(
            pool for name in group for pool in cell_network.pools_of(cells[name].model)
        )
        asked |= dict.fromkeys(group, (*pools_of_group,))
    return asked


def _likeness(recipe: Recipe) -> str:
    """Digest of all that features depend on, and of some that they do not."""
    plain = recipe.model_dump(mode="json")
    for name in HEAD:
        del plain["model"][name]
    del plain["train"]["stages"]
    return files.stable_digest(plain)
