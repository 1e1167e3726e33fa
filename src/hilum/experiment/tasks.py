"""A study's questions: the main one, then each task as a complete run in a folder of its own."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias

from hilum import files, recipes, report
from hilum.experiment import outputs, replication, run, segmentation
from hilum.experiment.recipe_checks import training_plans
from hilum.experiment.run import RunOptions
from hilum.experiment.run_basis import ChangedError
from hilum.experiment.spread import executor_of_folds
from hilum.progress import Progress, StepName, process_of, unit_of
from hilum.recipes import Recipe
from hilum.types import HilumError, LeftOut, Results

FOLDER = "tasks"
Outcomes: TypeAlias = Mapping[str, Results | HilumError]  # task -> its results or error


def run_into(
    recipe: Recipe,
    root: Path | None,
    out: Path,
    progress: Progress,
    resume: bool = False,
    workers: int = 1,
    ray: str = "",
) -> Results:
    """Carry out a recipe of either kind, of classes or of lung masks, and write its files to `out`.

    Folds are trained in `workers` processes, by actors of the Ray at an address, or in this
    process. A folder that a failed run leaves empty is removed. Raises as `run_recipe` does.
    """
    job = segmentation.run_segmentation if recipe.learns == "lungs" else run_recipe
    with outputs.removing_empty_on_failure(out):
        return job(recipe, root, out, progress, resume, workers, ray)


def run_recipe(
    recipe: Recipe,
    root: Path | None,
    out: Path,
    progress: Progress,
    resume: bool = False,
    workers: int = 1,
    ray: str = "",
) -> Results:
    """Carry out a recipe: its main question into `out`, each task into `out/tasks/NAME`.

    The main results then hold the tasks' scores and published numbers too. A task that fails is
    listed with its reason; with `resume` nothing that is finished is done again.
    Raises HilumError for what the user can correct and MissingError for data or weights that are
    not here, both of the main question.
    """
    replicas = _most_replicas(recipe) if ray else 1
    with files.alone(out), executor_of_folds(workers, ray, replicas) as executor:
        options = RunOptions(resume, executor=executor, replicas_by_ray=replicas > 1)
        return _run(recipe, root, out, progress, options)


def _most_replicas(recipe: Recipe) -> int:
    """Of all cells of the recipe and its tasks, and of their source tasks."""
    questions = [recipes.without_tasks(recipe), *recipes.tasks(recipe).values()]
    cells = [cell for question in questions for cell in recipes.cells(question).values()]
    return max(plan.replicas for cell in cells for plan in training_plans(cell))


def _run(
    recipe: Recipe, root: Path | None, out: Path, progress: Progress, options: RunOptions
) -> Results:
    tasks = recipes.tasks(recipe)
    alone = replace(options, report=not recipe.tasks)
    main = run.run_task(recipes.without_tasks(recipe), root, out, progress, alone)
    if not (recipe.tasks or main.tasks):
        return main
    # a task takes long, if it has images: the main question's report can be read meanwhile
    early = cache(partial(report.build_report, out))
    options = replace(options, main_manifest=out / "manifest.parquet", listed=early)
    outcomes: dict[str, Results | HilumError] = {}
    for name, task in tasks.items():
        folder = out / FOLDER / name
        try:
            with outputs.removing_empty_on_failure(folder):
                named = _with_task_name(progress, name)
                outcomes[name] = run.run_task(task, root, folder, named, options)
        except ChangedError:  # of what is in the folder, not of the task: nothing is printed as new
            raise
        except HilumError as error:
            outcomes[name] = error
    results = _join(recipe, main, tasks, outcomes)
    outputs.write_recipe(out, recipe)
    outputs.relist_tasks(out, recipe.tasks, _failures(outcomes))
    outputs.write_results(out, results)
    report.build_report(out)
    return results


def _with_task_name(progress: Progress, name: str) -> Progress:
    return lambda step: progress(StepName(step, unit_of(step), process_of(step)).within(name))


def _failures(outcomes: Outcomes) -> list[LeftOut]:
    return [
        LeftOut(f"task {name}", str(outcome))
        for name, outcome in outcomes.items()
        if isinstance(outcome, HilumError)
    ]


def _join(
    recipe: Recipe, main: Results, tasks: Mapping[str, Recipe], outcomes: Outcomes
) -> Results:
    """The main question's results with those of its tasks, under their names."""
    main = _without_tasks(main)
    main = replace(main, replication=replication.replication_sentence(recipe))
    scores, published = list(main.scores), list(main.published)
    sentences = [main.replication] if main.replication else []
    for name, outcome in outcomes.items():
        if isinstance(outcome, Results):
            scores += [replace(row, cell=f"{name}: {row.cell}") for row in outcome.scores]
            published += [replace(row, where=f"{name}: {row.where}") for row in outcome.published]
            sentences += [f"{name}: {outcome.replication}"] if outcome.replication else []
    failed = [*main.model["failed"], *map(asdict, _failures(outcomes))]
    return replace(
        main,
        scores=scores,
        published=published,
        replication=" ".join(sentences),
        model={**main.model, "failed": failed},
        tasks=[_summary(name, tasks[name].title, outcome) for name, outcome in outcomes.items()],
    )


def _without_tasks(main: Results) -> Results:
    """Without the rows that tasks added, for a finished run that is resumed."""
    names = [task["name"] for task in main.tasks]
    before = tuple(f"{name}: " for name in names)
    failed = [
        row for row in main.model["failed"] if row["what"] not in [f"task {n}" for n in names]
    ]
    return replace(
        main,
        scores=[row for row in main.scores if not row.cell.startswith(before)],
        published=[row for row in main.published if not row.where.startswith(before)],
        model={**main.model, "failed": failed},
        tasks=[],
    )


def _summary(name: str, title: str, outcome: Results | HilumError) -> dict[str, Any]:
    """What the main results say about a task; `cell` is the one its validation data chose."""
    summary: dict[str, Any] = {"name": name, "title": title}
    if isinstance(outcome, HilumError):
        return {**summary, "cell": None, "verdict": None, "report": None, "reason": str(outcome)}
    done = {"cell": outcome.model["cell"], "verdict": outcome.verdict}
    return {**summary, **done, "report": f"{FOLDER}/{name}/report.html", "reason": None}
