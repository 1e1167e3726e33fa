"""What the scores of a run rest on: the classes of an average, and images taken for patients."""

from collections.abc import Mapping, Sequence
from typing import Any

from hilum.metrics.registry import WHOLE
from hilum.report.wording import class_name

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
