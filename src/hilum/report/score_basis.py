"""What the scores of a run rest on: the classes of an average, and images taken for patients."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hilum.metrics.registry import WHOLE
from hilum.report.wording import class_name, family, score_name

PEOPLE = ("Brier", "Cohen", "Matthews")
UNKNOWN = ("patients unknown", "by image")


def over(row: Mapping[str, Any]) -> str:
    """The classes that an average is over, where some have no test image."""
    names = [class_name(str(name)) for name in row.get("over") or ()]
    return f" over {' and '.join(names)}" if names else ""


def notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a reader of these scores must know: classes without test images, unknown patients."""
    sentences = []
    averages = next((row for row in rows if row.get("over")), None)
    if averages:
        classes = {str(row.get("class")) for row in rows if row.get("name") == "sensitivity"}
        absent = sorted(classes - {*averages["over"], *WHOLE})
        missing = " or ".join(map(class_name, absent)) or "the other classes"
        sentences.append(f"Averages are{over(averages)}: no test image is of {missing}.")
    if any(word in str(row.get("method")) for row in rows for word in UNKNOWN):
        sentences.append(
            "Intervals count images of unknown patients as patients of their own: too narrow where "
            "people have several."
        )
    return sentences


def stamps(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What audits of the images alone have found of these scores, each once."""
    found = dict.fromkeys(str(row["stamp"]) for row in rows if row.get("stamp"))
    return [f"Audits of the images alone: {stamp}." for stamp in found]


def interval_notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """How the intervals were made, and which scores have none: each method and reason once."""
    with_one = [row for row in rows if row.get("method") and row.get("low") is not None]
    without = [row for row in rows if row.get("method") and row.get("low") is None]
    sentences = []
    made = _names_by(family, with_one)
    if made:
        most = max(made, key=lambda method: len(made[method]))
        words = [
            f"{method} ({', '.join(names) if len(made) > 1 and method != most else 'all others'})"
            for method, names in sorted(made.items(), key=lambda item: item[0] == most)
        ]
        sentences.append(f"Intervals by {', '.join(words) if len(made) > 1 else most}.")
    for reason, names in _names_by(_reason, without).items():
        sentences.append(f"No interval for {', '.join(names)}: {reason}.")
    return sentences


def _names_by(key: Callable[[str], str], rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Scores by what is said of their method, each name once."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        names = groups.setdefault(key(str(row["method"])), [])
        name = _in_sentence(score_name(str(row.get("name"))))
        if name not in names:
            names.append(name)
    return groups


def _in_sentence(name: str) -> str:
    """ "accuracy", but "AUROC", "F1" and "Cohen's kappa"."""
    kept = name.startswith(PEOPLE) or not name[1:2].islower()
    return name if kept else name[:1].lower() + name[1:]


def _reason(method: str) -> str:
    return method.removeprefix("no interval: ")
