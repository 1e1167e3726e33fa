"""What a command's answer becomes under --json."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any


def as_json(value: Any) -> str:
    """JSON text of records, tables' rows and plain values; nan is null, `class_` is "class"."""
    return json.dumps(plain_json(value), indent=1, ensure_ascii=False, allow_nan=False)


def plain_json(value: Any) -> Any:
    """Only what JSON knows: records as dictionaries, tuples as lists, nan as None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name.rstrip("_"): plain_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain_json(item) for item in value]
    return _scalar(value.item() if hasattr(value, "item") else value)


def _scalar(value: Any) -> str | int | float | None:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (str, int)) or value is None else str(value)
