"""An executor that does in this process what others do across processes."""

import pickle
from collections.abc import Iterable, Iterator
from typing import Any

from hilum.files.executors import Function
from hilum.progress import Progress


class PicklingExecutor:
    """Sends tasks and results through pickle, as processes do, and keeps what it saw."""

    def __init__(self) -> None:
        self.tasks: list[bytes] = []
        self.results: list[bytes] = []

    def map(
        self, function: Function[Any, Any], tasks: Iterable[Any], progress: Progress
    ) -> Iterator[Any]:
        for task in tasks:
            self.tasks.append(pickle.dumps(task))
            task = pickle.loads(self.tasks[-1])  # noqa: S301
            self.results.append(pickle.dumps(function(task, progress)))
            yield pickle.loads(self.results[-1])  # noqa: S301
