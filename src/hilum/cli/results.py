"""The end of every run: figures, published figures, audits, what was left out, the verdict."""

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from hilum.cli.json_output import plain_json
from hilum.cli.tables import Cell
from hilum.cli.terminal import Terminal
from hilum.types import NOTICE, Finding, LeftOut, Published, Results, Score

MASKS = {("dice", "overall"): "Dice, mean", ("mask_ok", "overall"): "Masks that pass their check"}
MARKS = {
    "pass": ("✓ pass", "green"),
    "warn": ("! warn", "yellow"),
    "fail": ("✗ fail", "red"),
    "unknown": ("? unknown", "dim"),
}


def show(results: Results, out: Path, screen: Terminal) -> None:
    """Everything that a person should know when a run has ended, the verdict last."""
    chosen = str(results.model["cell"])
    begin = tuple(f"{task['name']}: " for task in results.tasks)
    own_scores = [score for score in results.scores if not score.cell.startswith(begin)]
    _cells(own_scores, chosen, screen)
    _scores([score for score in results.scores if score.cell == chosen], screen)
    _published(results, screen)
    audits(results.audits, screen)
    failed = results.model.get("failed", [])
    screen.table("Cells that failed", ("cell", "why"), [(f["what"], f["reason"]) for f in failed])
    screen.left_out([LeftOut(item["what"], item["reason"]) for item in results.data["left_out"]])
    screen.notes(results.data.get("notes", ()))
    _questions(results, screen)
    screen.gap()
    for note in results.split.get("notes", ()):
        screen.say(f"• {note}", "yellow")
    screen.say(results.verdict, "bold")
    screen.gap()
    screen.point("Report", out.resolve() / "report.html")
    screen.say(NOTICE, "dim")
    screen.give({**plain_json(results.as_json()), "out": str(out.resolve())})


def beforehand(results: Results, screen: Terminal) -> None:
    """Of an external test: what is no test of the model, what was not checked, its verdict."""
    checked = results.split.get("checked")
    if checked is None:
        return
    if checked["sentence"]:
        screen.say(checked["sentence"], "bold red")
    for note in (*checked["not_checked"], results.model["verdict"]):
        screen.say(note, "yellow")


def _scores(scores: Sequence[Score], screen: Terminal) -> None:
    """The chosen cell's scores: those in brief, or all of them under -v."""
    from hilum.metrics import registry

    columns = ("score", "value", "95%", "of images")
    if screen.verbosity > 0:
        from hilum.report.wording import class_name, score_name

        rows = [(score_name(s.name), class_name(s.class_), *_figures(s)) for s in scores]
        screen.table("All scores on test images", (columns[0], "of", *columns[1:]), rows)
        _say_notes(scores, screen)
        return
    by_name = {(score.name, score.class_): score for score in scores}
    shown = [*MASKS.items(), *((row.key, row.key_title) for row in registry.brief())]
    measured = [(name, by_name[key]) for key, name in shown if key in by_name]
    few = [(name + _of(score), *_figures(score)) for name, score in measured]
    screen.table("Scores on test images", columns, few)
    _say_notes(scores, screen)


def _say_notes(scores: Sequence[Score], screen: Terminal) -> None:
    from hilum.report.score_basis import notes

    for sentence in notes(plain_json(scores)):
        screen.say(sentence)


def _of(score: Score) -> str:
    """How many classes an average is over, where that is not all."""
    return f" over {len(score.over)} classes" if score.over else ""


def _figures(score: Score) -> tuple[str, str, str]:
    count = "" if score.k is None else f"{score.k}/{score.n}"
    undefined = score.value is None or score.value != score.value
    ends = score.method if undefined else _interval(score.low, score.high)
    return _number(score.value), ends, count


def _number(value: float | None) -> str:
    # nan, which is not itself, is a score of nothing
    return "–" if value is None or value != value else f"{value:.3f}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.3f}–{high:.3f}"


def _cells(scores: Sequence[Score], chosen: str, screen: Terminal) -> None:
    """All cells of a grid side by side, where there are several."""
    from hilum.metrics import registry

    cells = list(dict.fromkeys(score.cell for score in scores))
    if len(cells) < 2:
        return
    value = {(score.cell, score.name, score.class_): score.value for score in scores}
    rows = [
        (
            cell,
            *(_number(value.get((cell, *row.key))) for row in registry.headlines()),
            "✓" if cell == chosen else "",
        )
        for cell in cells
    ]
    names = [row.key_title for row in registry.headlines()]
    screen.table("Cells of the grid", ("cell", *names, "in model/"), rows)


def _questions(results: Results, screen: Terminal) -> None:
    """The recipe's tasks: figures of the cell that each has chosen, and its verdict."""
    from hilum.metrics import registry

    by_cell = {(score.cell, score.name, score.class_): score for score in results.scores}
    rows = []
    for task in results.tasks:
        cell = f"{task['name']}: {task['cell']}"
        own = [by_cell.get((cell, *row.key)) for row in registry.spread()]
        values = (_number(score.value if score else None) for score in own)
        rows.append((task["name"], *values, task["reason"] or task["verdict"]))
    names = [row.key_title for row in registry.spread()]
    screen.table("Further questions", ("task", *names, "verdict"), rows)


def _published(results: Results, screen: Terminal) -> None:
    """The paper's numbers next to ours, after what makes this another experiment."""
    numbers: Sequence[Published] = results.published
    if numbers and results.replication:
        screen.gap()
        screen.say(results.replication, "bold yellow")
    rows = []
    for number in numbers:
        what = f"{number.name.replace('_', ' ')}{_at(number.threshold)}, {number.class_}"
        named = (f"{number.where}: {what}",) if screen.narrow else (number.where, what)
        rows.append(
            (
                *named,
                f"{number.published:g}",
                _number(number.measured),
                "" if number.k is None else f"{number.k}/{number.n}",
                _interval(number.low, number.high),
                {True: "yes", False: "no", None: "–"}[number.agrees],
            )
        )
    columns = ("published", "measured", "of images", "95%", "within our interval")
    first = ("what",) if screen.narrow else ("where", "score")
    screen.table("Published and measured", (*first, *columns), rows)


def _at(threshold: float | None) -> str:
    return "" if threshold is None else f" at {threshold:.2f}"


def audits(findings: Sequence[Finding], screen: Terminal) -> None:
    """Every finding in one row; the report has its rule and source."""
    rows: list[tuple[Cell, ...]] = []
    for finding in findings:
        question = () if screen.narrow else (finding.title,)
        rows.append((finding.id, Text(*MARKS[finding.status]), *question, finding.sentence))
    columns = ("id", "outcome", *(() if screen.narrow else ("question",)), "what it says")
    screen.table("Audits", columns, rows)
