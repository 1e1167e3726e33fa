"""Which worker runs which tests: a file's by one, long ones first.

So the last files are short, and no worker waits long for the other. The folders of TOGETHER share
fixtures that take seconds to make: one worker makes them once.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("tests/api", "tests/cli", "tests/exporting", "tests/report", "tests/serve")
FIRST = (  # what takes 5 s and more on one core, the longest first
    "tests/cli",
    "tests/serve",
    "tests/exporting",
    "tests/api",
    "tests/report",
    "tests/golden/test_golden.py",
    "tests/test_docs.py",
    "tests/experiment/test_workers.py",
    "tests/explain/test_heat.py",
    "tests/experiment/test_resuming.py",
    "tests/test_work_counts.py",
    "tests/experiment/test_run.py",
    "tests/experiment/test_shared_pass.py",
    "tests/experiment/test_source.py",
    "tests/experiment/test_seen_again.py",
    "tests/training/test_replicas.py",
    "tests/data/test_splits.py",
    "tests/audits/test_controls.py",
    "tests/node/test_node_command.py",
    "tests/test_executors.py",
    "tests/experiment/test_run_shapes.py",
    "tests/models/test_runtime.py",
    "tests/models/test_hostile_pickles.py",
    "tests/models/test_keras.py",
    "tests/data/test_phantom.py",
    "tests/data/test_tree_labels.py",
    "tests/experiment/test_later.py",
    "tests/node/test_node_films.py",
    "tests/interop/test_exported_folders.py",
    "tests/experiment/test_own_split.py",
    "tests/contracts/test_backbones.py",
    "tests/experiment/test_adapt.py",
    "tests/data/test_pixels.py",
    "tests/experiment/test_questions.py",
    "tests/inference/test_model_folder.py",
    "tests/experiment/test_checks.py",
    "tests/models/test_stages.py",
    "tests/node/test_node_archive.py",
)


def scope_of(nodeid: str) -> str:
    """The folder or file whose tests one worker runs."""
    file = nodeid.split("::", 1)[0]
    return next((folder for folder in TOGETHER if file.startswith(f"{folder}/")), file)


def rank(nodeid: str) -> int:
    """Tests of a lower rank begin earlier."""
    scope = scope_of(nodeid)
    return FIRST.index(scope) if scope in FIRST else len(FIRST)


class LongestFirst(LoadScopeScheduling):
    """Scopes in the order of the collection, which conftest.py has sorted by rank."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        config.option.loadscopereorder = False  # by the number of their tests
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)
