"""Whether the tests notice a changed program, where its numbers and promises are made.

    python scripts/mutation_tests.py [GROUP ...] [--each N] [--seed N] [--coverage]

mutmut (extra "mutants") writes the mutants and asks, of each, the tests that call the changed
function. From every module a sample is drawn by the seed. Left out are mutants of words (texts,
messages of errors), of `strict` of zip, and those that put None in a value's place, which nearly
any test notices. Of decorated functions and of a module's constants mutmut makes none. Mutants
that change nothing are answered in `mutants_answered.toml`. --coverage counts the branches that
the same tests reach.

Prints a line a module and the survivors; the exit code is 1 where a group is below its goal.
"""

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ANSWERED = Path(__file__).with_name("mutants_answered.toml")
GOAL = {"mutants": 85, "branches": 95}  # percent
COPIED = ("src", "tests", "scripts", "docs", "examples", "pyproject.toml", "README.md", "Makefile")
# exit codes of mutmut: all tests passed, or none calls the function; or they took too long, which a
# busy machine does as well as a mutant
SURVIVED, LATE = {0, 5, 33}, {-24, 24, 36, 152, 255}


@dataclass(frozen=True, slots=True)
class Group:
    """Modules, by patterns below src/hilum, and the tests that must notice their mutants."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    each: int = 15  # mutants drawn from a module


# added to conftest.py: every mutant meets the same examples, none is made smaller, and the tests
# that take least come first, file by file
CONFTEST = """
import json
from hypothesis import Phase
settings.register_profile(
    "mutants", deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("mutants")

def pytest_collection_modifyitems(items):
    stats = Path("mutmut-stats.json")
    took = json.loads(stats.read_text())["duration_by_test"] if stats.is_file() else {}
    files = {}
    for item in items:
        file = item.nodeid.partition("::")[0]
        files[file] = files.get(file, 0) + took.get(item.nodeid, 0)
    items.sort(key=lambda item: (files[item.nodeid.partition("::")[0]], took.get(item.nodeid, 0)))
"""


GROUPS = {
    "metrics": Group(
        ("metrics/*.py",),
        (
            "tests/metrics",
            "tests/contracts/test_metric_rows.py",
            "--ignore=tests/metrics/test_lung_finder.py",  # of a network
        ),
        each=10,
    ),
    "splits": Group(
        ("data/splits.py", "data/stratify.py", "experiment/splits.py"),
        (
            "tests/data/test_splits.py",
            "tests/experiment/test_own_split.py",
            "tests/experiment/test_recipe_splits.py",
        ),
    ),
    "leakage": Group(
        ("data/leakage.py", "data/duplicates.py", "data/fingerprints.py"),
        ("tests/data/test_leaks.py", "tests/data/test_fingerprints.py"),
    ),
    "conformal": Group(
        ("inference/conformal.py",),
        ("tests/inference/test_conformal.py",),
    ),
    "audits": Group(
        ("audits/*.py",),
        ("tests/audits",),
        each=3,
    ),
    "resuming": Group(
        # experiment/dependencies.py is asked by whole runs alone, which are too long for this
        ("experiment/shards.py", "experiment/checkpoints.py", "experiment/run_basis.py"),
        (
            "tests/experiment/test_checkpoints.py",
            "tests/experiment/test_shards.py",
            "tests/experiment/test_prepare_shards.py",
        ),
    ),
}


@dataclass(slots=True)
class Count:
    """Mutants of a module: how many were made and drawn, and those that no test noticed.

    Of the `late` nobody knows, so that they count neither way.
    """

    made: int = 0
    drawn: int = 0
    equivalent: int = 0
    survivors: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Percent noticed of those that change something and were tried to the end."""
        counted = self.drawn - self.equivalent - len(self.late)
        return 100.0 if not counted else 100 * (counted - len(self.survivors)) / counted


def modules_of(group: Group) -> list[Path]:
    """Paths of a group's modules below the root."""
    found = {path for pattern in group.modules for path in (ROOT / "src/hilum").glob(pattern)}
    return sorted(path.relative_to(ROOT) for path in found)


def mutants_of(module: Path) -> dict[str, tuple[str, str]]:
    """Mutants that count, by mutmut's name: the changed lines as they were and as they are."""
    from mutmut.mutation.diff_apply import generated_function_names
    from mutmut.mutation.file_mutation import mutate_file_contents
    from mutmut.utils.format_utils import get_mutant_name

    made = mutate_file_contents(str(module), (ROOT / module).read_text(encoding="utf-8"))
    lines, spans = made.code.splitlines(), made.line_span_by_function_name
    counted = {}
    for short in made.mutant_names:
        original = generated_function_names(short)[0]
        before, after = (
            "\n".join(lines[spans[name].start - 1 : spans[name].end]).replace(name, "_")
            for name in (original, short)
        )
        if _counts(before, after):
            counted[get_mutant_name(module, short)] = _difference(before, after)
    return counted


def _counts(before: str, after: str) -> bool:
    """Whether more than words changed, and to another value than None."""
    trees = [ast.parse(_dedented(source)) for source in (before, after)]
    nones = [
        sum(isinstance(node, ast.Constant) and node.value is None for node in ast.walk(tree))
        for tree in trees
    ]
    return nones[0] >= nones[1] and len({ast.dump(_Wordless().visit(tree)) for tree in trees}) == 2


def _dedented(source: str) -> str:
    lines = source.strip("\n").splitlines()
    margin = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[margin:] for line in lines)


class _Wordless(ast.NodeTransformer):
    """Texts become empty, errors lose what they say, `zip` its guard against another fault."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return ast.Constant("")

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "zip":
            node.keywords = []
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            node.exc.args = []
        return self.generic_visit(node)


def _difference(before: str, after: str) -> tuple[str, str]:
    sides = [[line.strip() for line in source.splitlines()] for source in (before, after)]
    same = 0
    while sides[0][same] == sides[1][same]:
        same += 1
    rest = [side[same:] for side in sides]
    while rest[0] and rest[1] and rest[0][-1] == rest[1][-1]:
        rest = [side[:-1] for side in rest]
    was, is_ = (" ".join(side) for side in rest)
    return was, is_


def workplace(folder: Path, group: Group) -> None:
    """A copy of the repository in which mutmut works."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, folder / name)
    settings = {
        "source_paths": ["src/"],
        "only_mutate": [str(module) for module in modules_of(group)],
        "pytest_add_cli_args_test_selection": list(group.tests),
        "pytest_add_cli_args": ["-p", "no:xdist", "-p", "no:cacheprovider"],
        "also_copy": [name for name in COPIED if name not in ("src", "tests")],
        "process_isolation": "forkserver",
        "timeout_multiplier": 3.0,
        "timeout_constant": 10.0,  # seconds
        "track_dependencies": False,
        "use_git_change_detection": False,
    }
    with (folder / "tests" / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(CONFTEST)
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as project:
        project.write("\n[tool.mutmut]\n")
        project.writelines(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())


def count_mutants(
    group: Group, each: int, seed: int, answered: set[tuple[str, ...]]
) -> dict[Path, Count]:
    """Count of every module of a group, by its path."""
    every = {module: mutants_of(module) for module in modules_of(group)}
    drawn = {
        module: random.Random(f"{seed} {module.as_posix()}").sample(
            sorted(mutants), min(each, len(mutants))
        )
        for module, mutants in every.items()
    }
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name)
        workplace(folder, group)
        _mutmut(folder, [one for names in drawn.values() for one in names])
        return {
            module: _count(folder, module, every[module], drawn[module], answered)
            for module in every
            if every[module]
        }


def _mutmut(folder: Path, names: Iterable[str]) -> None:
    mutated = folder / "mutants" / "src"  # processes that tests start import it as well
    mutated.mkdir(parents=True)  # Python looks once whether a folder of its path is there
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", "run", "--max-children", "1", *names],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(mutated)}, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if "Generating" not in line]
        sys.exit("\n".join([*said[-50:], f"mutmut ended with {done.returncode}"]))


def _count(
    folder: Path,
    module: Path,
    mutants: dict[str, tuple[str, str]],
    drawn: list[str],
    answered: set[tuple[str, ...]],
) -> Count:
    record = folder / "mutants" / f"{module}.meta"
    codes = json.loads(record.read_text(encoding="utf-8"))["exit_code_by_key"]
    count = Count(len(mutants), len(drawn))
    for name in drawn:
        was, is_ = mutants[name]
        if codes[name] in LATE:
            count.late.append(name.rpartition(".")[2])
        if codes[name] not in SURVIVED:
            continue
        if (module.relative_to("src/hilum").as_posix(), was, is_) in answered:
            count.equivalent += 1
        else:
            count.survivors.append(f"{name.rpartition('.')[2]}\n    - {was}\n    + {is_}")
    return count


def branches(group: Group) -> dict[str, tuple[int, int]]:
    """Branches of each module of a group: how many its tests take, of how many."""
    with tempfile.TemporaryDirectory(prefix="branches-") as name:
        env = {**os.environ, "COVERAGE_FILE": str(Path(name) / "data")}
        files = ",".join(str(ROOT / module) for module in modules_of(group))
        run = [sys.executable, "-m", "coverage"]
        subprocess.run(
            [*run, "run", "--branch", f"--include={files}", "-m", "pytest", "-p", "no:xdist",
             "-p", "no:cacheprovider", *group.tests], cwd=ROOT, env=env, check=True,
        )  # fmt: skip
        report = Path(name) / "report.json"
        subprocess.run([*run, "json", "-q", "-o", str(report)], cwd=ROOT, env=env, check=True)
        found = json.loads(report.read_text(encoding="utf-8"))["files"]
    for path, facts in found.items():
        if facts["missing_branches"] or facts["missing_lines"]:
            print(f"  {path}: lines {facts['missing_lines']} branches {facts['missing_branches']}")
    return {
        path: (facts["summary"]["covered_branches"], facts["summary"]["num_branches"])
        for path, facts in found.items()
    }


def answered_mutants() -> set[tuple[str, ...]]:
    """Mutants that change nothing: module, the lines as they were, and as they are."""
    rows = tomllib.loads(ANSWERED.read_text(encoding="utf-8"))["mutant"]
    return {(row["module"], row["was"], row["becomes"]) for row in rows}


def _print_mutants(group: str, counts: dict[Path, Count]) -> bool:
    total = Count()
    for module, count in counts.items():
        print(f"{module}: {_words(count)}")
        for survivor in count.survivors:
            print(f"  {survivor}")
        for late in count.late:
            print(f"  {late} took too long")
        total.made += count.made
        total.drawn += count.drawn
        total.equivalent += count.equivalent
        total.survivors += count.survivors
        total.late += count.late
    print(f"{group}: {_words(total)}", flush=True)
    return total.share >= GOAL["mutants"]


def _words(count: Count) -> str:
    left, late = len(count.survivors), len(count.late)
    noticed = count.drawn - count.equivalent - left - late
    return (
        f"{count.made} mutants, {count.drawn} drawn, {noticed} noticed, {count.equivalent} "
        f"equivalent, {left} survived, {late} took too long: {count.share:.1f}%"
    )


def _print_branches(group: str, found: dict[str, tuple[int, int]]) -> bool:
    taken, of = (sum(column) for column in zip(*found.values(), strict=True))
    print(f"{group}: {taken} of {of} branches: {100 * taken / of:.1f}%", flush=True)
    return 100 * taken >= GOAL["branches"] * of


def main() -> None:
    """Count, print, and fail below the goal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--each", type=int, help="mutants drawn from each module")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--coverage", action="store_true", help="count branches, not mutants")
    asked = parser.parse_args()
    if unknown := set(asked.groups) - set(GROUPS):
        parser.error(f"groups are {', '.join(GROUPS)}; got {', '.join(sorted(unknown))}")
    well = True
    for name in asked.groups or GROUPS:
        group = GROUPS[name]
        if asked.coverage:
            well &= _print_branches(name, branches(group))
        else:
            counts = count_mutants(group, asked.each or group.each, asked.seed, answered_mutants())
            well &= _print_mutants(name, counts)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
