"""Imports point down, siblings are strangers, no cycles, heavy imports are lazy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "hilum"
# top to bottom; rooms on one line are siblings and never import each other
LAYERS = (
    {"cli"},
    {"node"},
    {"serve"},
    {"api"},
    {"interop"},
    {"experiment", "exporting"},
    {"recipes", "report"},
    {"audits"},
    {"dicom"},
    {"explain", "training"},
    {"inference"},
    {"metrics", "phantom", "datasets"},
    {"data"},
    {"augment", "preprocess"},
    {"models"},
    {"images"},
    {"files"},
    {"progress", "types"},
    {"notebook"},
)
HEIGHT = {room: len(LAYERS) - i for i, rooms in enumerate(LAYERS) for room in rooms}
# the same of the modules of experiment/
FLOORS = (
    {"adapt", "audit", "tasks"},
    {"forecast_model"},
    {"evaluate", "forecast", "prepare", "run", "segmentation"},
    {"audit_outputs", "fit_ood", "heatmaps_by_model", "model_record", "run_results"},
    {"audit_tasks", "external_tests", "outputs", "segmentation_fold", "select"},
    {"dependencies", "grid", "segmentation_data", "validate"},
    {"data_checks", "fold_task"},
    {"checkpoints", "source_task"},
    {"evidence", "fold", "pool_choice", "predict"},
    {"adapt_report", "evaluate_shards", "fit", "new_films", "predict_shards", "prepare_shards"}
    | {"recipe_checks", "summary", "synthetic_images"},
    {"fine_tune", "shard_model", "shards"},
    {"answer_rows", "cell_features", "schema_to_training", "spread", "work_count"},
    {"view_pass"},
    {"view"},
    {"cell_context", "collected"},
    {"answering", "context", "shared_pass", "splits"},
    {"clear_previous", "compare", "dataset", "environment", "given_split", "leaderboard"}
    | {
        "cell_network",
        "mask_conventions",
        "prepare_film",
        "published",
        "replication",
        "run_basis",
        "speed",
    },
)
FLOOR = {name: len(FLOORS) - i for i, names in enumerate(FLOORS) for name in names}
ALLOWED_LAZY_CYCLES = 0


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(name: str, path: Path, known: set[str]) -> set[str]:
    """Modules of hilum that `path` imports anywhere, also inside functions."""
    out = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            out |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            out |= (whole & known) or {node.module}
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{name}: relative import"
    return {module for module in out if module in known and module != name}


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    found = modules()
    known = set(found)
    graph = {name: imports_of(name, path, known) for name, path in found.items()}
    return graph | {"hilum": set()}  # the facade names what others import when they are asked


def test_every_room_has_a_place(graph: dict[str, set[str]]) -> None:
    rooms = {room_of(name) for name in graph} - {""}
    assert rooms == set(HEIGHT), f"LAYERS must name what is there: {rooms ^ set(HEIGHT)}"
    assert len(graph) >= 50


def test_imports_point_down(graph: dict[str, set[str]]) -> None:
    wrong = [
        f"{name} imports {target}"
        for name, targets in graph.items()
        for target in targets
        if room_of(name) in HEIGHT
        and room_of(target) in HEIGHT
        and room_of(name) != room_of(target)
        and HEIGHT[room_of(target)] >= HEIGHT[room_of(name)]
    ]
    assert not wrong, "\n".join(wrong)


def test_a_class_name_means_one_thing() -> None:
    """But for the card of the Coalition for Health AI: its schema names its elements."""
    found: dict[str, list[str]] = {}
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and name != "hilum.report.cards.chai":
                found.setdefault(node.name, []).append(name)
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_experiment_has_an_order_of_its_own(graph: dict[str, set[str]]) -> None:
    start = "hilum.experiment."
    inside = {name.removeprefix(start): graph[name] for name in graph if name.startswith(start)}
    assert set(inside) == set(FLOOR), f"FLOORS must name what is there: {set(inside) ^ set(FLOOR)}"
    wrong = [
        f"{name} imports {target}"
        for name, targets in inside.items()
        for target in (other.removeprefix(start) for other in targets if other.startswith(start))
        if FLOOR[target] >= FLOOR[name]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_cycles_even_lazily(graph: dict[str, set[str]]) -> None:
    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        stack = [*graph[start]]
        while stack:
            name = stack.pop()
            if name not in seen:
                seen.add(name)
                stack += graph[name]
        return seen

    inside = [name for name in graph if name in reachable(name)]
    assert len(inside) <= ALLOWED_LAZY_CYCLES, f"in cycles: {inside}"


def test_files_stay_small() -> None:
    long = {
        name: lines
        for name, path in modules().items()
        if (lines := sum(bool(line.strip()) for line in path.read_text().splitlines())) > 420
    }
    assert not long, f"redesign: {long}"


@pytest.mark.parametrize(
    "module", ["types", "files", "images", "data", "datasets", "recipes", "preprocess", "cli"]
)
def test_light_rooms_do_not_load_torch(module: str) -> None:
    code = (
        f"import sys, hilum.{module}; heavy = 'torch openvino timm sklearn matplotlib'.split(); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
