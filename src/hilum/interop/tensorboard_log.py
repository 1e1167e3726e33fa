"""A run as a folder of TensorBoard events.

https://docs.pytorch.org/docs/stable/tensorboard.html
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hilum import files
from hilum.interop import optional
from hilum.interop.run_facts import RunFacts


def load() -> Any:
    """The writer's module; HilumError where TensorBoard is missing."""
    return optional.load("torch.utils.tensorboard", "--log tensorboard", "hilum[log]")


def write(facts: RunFacts, folder: Path) -> str:
    """Parameters, figures with their intervals, course and verdict; where to look.

    Events hold no pages: where the report lies is a text.
    """
    files.ensure_writable_folder(folder)
    place = folder / f"{facts.name}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    with load().SummaryWriter(str(place)) as writer:
        for name, words in facts.words.items():
            writer.add_text(name, words)
        writer.add_text("parameters", _table(facts.parameters))
        writer.add_text("files", "\n\n".join(str(path) for path in facts.files))
        for name, value in facts.figures.items():
            writer.add_scalar(f"test/{name}", value, 0)
        for row in facts.course.itertuples(index=False):
            writer.add_scalar(row.name, row.value, int(row.step))
    return f"TensorBoard events in {place}; tensorboard --logdir {folder}"


def _table(parameters: dict[str, str]) -> str:
    """Markdown, as TensorBoard shows texts."""
    rows = [f"| {name} | {_cell(value)} |" for name, value in parameters.items()]
    return "\n".join(["| key | value |", "|---|---|", *rows])


def _cell(value: str) -> str:
    return " ".join(value.replace("|", "\\|").split())
