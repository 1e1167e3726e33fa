"""The features of a view, computed by this process and by others that need them too.

Many images are cut into parts, which processes take one by one. A part that is finished stays when
its process is killed.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from itertools import pairwise

import numpy as np

from hilum import files
from hilum.data import feature_cache
from hilum.experiment.shared_pass import PassPlan
from hilum.experiment.view import View
from hilum.progress import Advance
from hilum.types import Floats

PART = 1024  # images, about
WORTH = 400  # images from which a pass for several pools pays for compiling its network


class ViewPass:
    """One view on its way into the store, for all networks that one pass serves."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._own_key = view.own_key  # it takes in the names of all its images
        self._advance: Advance | None = None

    def finish(self, *, wait: bool) -> bool:
        """Compute what nobody else is at; whether the features of the view are in the store.

        Where waited for, they are: others' parts are, after these have finished or died.
        """
        view = self._view
        if not self._known:
            busy = [part for part in self._parts if not self._compute(part, wait=False)]
            if busy and not wait:
                return False
            for part in busy:
                self._compute(part, wait=True)
        done = feature_cache.produced(self._own_key, self._whole, self._lock, wait=wait)
        if done:
            self._remove_parts()
            if self._advance is not None:
                self._advance(len(view.rows), len(view.rows))
        return done

    @cached_property
    def _plan(self) -> PassPlan:
        """The network to run, and which of its outputs are whose features."""
        context = self._view.context
        shared = context.shared if len(self._view.rows) >= WORTH else None
        plan = shared.plan(context.runtime, context.pixels.stack) if shared is not None else None
        return plan or PassPlan(context.runtime, [(context.network, slice(None))])

    @cached_property
    def _lock(self) -> str:
        """One for all that the pass gives."""
        return files.stable_digest(*sorted(self._view.key(one) for one, _ in self._plan.columns))

    @cached_property
    def _known(self) -> str:
        """Where the store has features that hold all the others as some of their columns, or ""."""
        plan = self._plan
        carrier = next((one for one, _ in plan.columns if one.runtime is plan.runtime), None)
        key = self._view.key(carrier) if carrier is not None else ""
        return key if key and feature_cache.is_stored(key) else ""

    @cached_property
    def _parts(self) -> list[range]:
        """Rows of the view, cut evenly; one part where there are few."""
        images = len(self._view.rows)
        ends = np.linspace(0, images, max(1, round(images / PART)) + 1).astype(int).tolist()
        return [range(start, stop) for start, stop in pairwise(ends)]

    def _key(self, part: range) -> str:
        return files.stable_digest(self._lock, "part", part.start, part.stop)

    def _compute(self, part: range, *, wait: bool) -> bool:
        """Whether a part is in the store, or the whole."""
        if len(self._parts) == 1:
            return True  # computed when the whole is
        key = self._key(part)
        return feature_cache.produced(key, lambda: self._part(key, part), key, wait=wait)

    def _part(self, key: str, part: range) -> Mapping[str, Floats]:
        joined = feature_cache.is_stored(self._own_key)  # by another process meanwhile
        return {} if joined else {key: self._run(part)}

    def _run(self, part: range) -> Floats:
        view = self._view
        advance = self._advance = self._advance or view.context.progress(view.step)
        total = len(view.rows)
        return view.run(self._plan.runtime, part, lambda done, _: advance(part.start + done, total))

    def _whole(self) -> Mapping[str, Floats]:
        """The features of every network that the pass serves, by key."""
        view = self._view
        if self._known:
            found = feature_cache.stored(self._known)
        elif len(self._parts) == 1:
            found = view.among_all(self._run(self._parts[0]))
        else:
            parts = [feature_cache.stored(self._key(part)) for part in self._parts]
            found = view.among_all(np.concatenate(parts))
        return {view.key(one): found[:, at] for one, at in self._plan.columns}

    def _remove_parts(self) -> None:
        if len(self._parts) > 1:
            for part in self._parts:
                with suppress(OSError):
                    feature_cache.store_path(self._key(part)).unlink()
