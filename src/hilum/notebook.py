"""Small HTML for notebooks: what `_repr_html_` of results, scores, answers and heat maps shows.

Every text is escaped. Styles are inline and take the notebook's own colours, light or dark. Names
of scores are those of `results.json`, so that they can be looked up.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import isnan
from typing import Any

AVERAGED = ("overall", "macro")  # a score's class where it is of all classes
ORDER = ("fail", "warn", "unknown", "pass")  # of audits' outcomes
WIDEST = "44em"
_LINE = "border-bottom:1px solid rgba(128,128,128,.35)"
_CELL = f"padding:.15em .8em .15em 0;text-align:left;vertical-align:top;{_LINE}"


def results(record: Mapping[str, Any]) -> str:
    """Verdict, scores of the chosen cell, audits and tasks of a run; `record` as `as_json`."""
    cell = record["model"].get("cell")
    scores = [
        score
        for score in record["scores"]
        if score["cell"] == cell and score["class"] in AVERAGED and _known(score["value"])
    ]
    rows = [(_name(score), f"{score['value']:.3f}", _interval(score)) for score in scores]
    parts = [
        _paragraph(record["verdict"], "font-weight:bold"),
        _table(f"Scores on test images, {cell}", ("score", "value", "95% interval"), rows),
        _audits(record["audits"]),
        _table("Tasks", ("task", "verdict"), [_task(task) for task in record["tasks"]]),
    ]
    return card(record["title"] or record["recipe"], parts, record["notice"])


def score(record: Mapping[str, Any], notice: str) -> str:
    """One score with its interval, and what audits of the images say of it."""
    known = _known(record["value"])
    figure = f"{record['value']:.3f}" if known else "not defined"
    words = [f"95% interval {_interval(record)}"] if _interval(record) else []
    words += [f"{record['k']} of {record['n']} images"] if record["k"] is not None else []
    words += [f"interval: {record['method']}"] if words else [str(record["method"])]
    words += [f"audits of the images: {record['stamp']}"] if record["stamp"] else []
    parts = [_paragraph(figure, "font-size:1.5em"), _paragraph("; ".join(words))]
    return card(f"{_name(record)} ({record['cell']})", parts, notice)


def prediction(record: Mapping[str, Any], notice: str) -> str:
    """The probability of each class as a bar, then why the model abstains and how it was judged."""
    title = record["label"] or "No answer"
    if record["abstained"] and record["label"]:
        title = f"Abstained (most probable: {record['label']})"
    seen = f"Not a test of this model: {record['seen']}." if record["seen"] else ""
    texts = (record["reason"], seen, record["verdict"])
    parts = [_bars(record["probabilities"]), *(_paragraph(text) for text in texts)]
    return card(title, [_paragraph(record["path"], "opacity:.7"), *parts], notice)


def heatmap(title: str, pictures: Mapping[str, bytes], verdict: str, notice: str) -> str:
    """PNG pictures next to one another, each with its caption."""
    shown = "".join(
        '<figure style="display:inline-block;margin:0 .8em .4em 0">'
        f'<img alt="{escape(caption)}" style="max-width:100%" '
        f'src="data:image/png;base64,{b64encode(png).decode()}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for caption, png in pictures.items()
    )
    return card(title, [f"<div>{shown}</div>", _paragraph(verdict)], notice)


def card(title: str, parts: Iterable[str], notice: str) -> str:
    """Heading, parts that are HTML already, and the research notice."""
    return (
        f'<div style="max-width:{WIDEST};overflow-x:auto">'
        f'<p style="margin:.3em 0;font-size:1.15em"><strong>{escape(str(title))}</strong></p>'
        f"{''.join(parts)}{_paragraph(notice, 'opacity:.7')}</div>"
    )


def _audits(findings: Sequence[Mapping[str, Any]]) -> str:
    """How many audits had each outcome, and the sentence of each that failed or warned."""
    counts = {kind: sum(row["status"] == kind for row in findings) for kind in ORDER}
    outcomes = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    rows = [
        (row["status"], row["title"] or row["id"], row["sentence"])
        for kind in ORDER[:2]
        for row in findings
        if row["status"] == kind
    ]
    summary = _paragraph(f"Audits: {outcomes}." if outcomes else "")
    return summary + _table("", ("outcome", "audit", "what it says"), rows)


def _task(task: Mapping[str, Any]) -> tuple[str, str]:
    return str(task["name"]), str(task.get("verdict") or task.get("reason") or "")


def _name(score: Mapping[str, Any]) -> str:
    name, class_ = str(score["name"]).replace("_", " "), score.get("class", score.get("class_"))
    return name if class_ == "overall" else f"{name}, {class_}"


def _interval(score: Mapping[str, Any]) -> str:
    low, high = score["low"], score["high"]
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _known(value: float | None) -> bool:
    return value is not None and not isnan(value)


def _paragraph(text: str, style: str = "") -> str:
    """A text as a paragraph; nothing for an empty one."""
    return f'<p style="margin:.3em 0;{style}">{escape(text)}</p>' if text else ""


def _table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts; nothing where it has no rows."""
    if not rows:
        return ""
    heads = "".join(f'<th scope="col" style="{_CELL}">{escape(name)}</th>' for name in columns)
    cells = (_cells(row) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    title = f'<caption style="text-align:left">{escape(caption)}</caption>' if caption else ""
    style = "border-collapse:collapse;margin:.5em 0"
    return f'<table style="{style}">{title}<tr>{heads}</tr>{body}</table>'


def _cells(row: Sequence[str]) -> str:
    return "".join(f'<td style="{_CELL}">{escape(text)}</td>' for text in row)


def _bars(shares: Mapping[str, float]) -> str:
    """A row of each class: name, bar, probability."""
    rows = "".join(
        f'<tr><td style="{_CELL}">{escape(name)}</td><td style="{_CELL};width:12em">'
        f'<div style="height:.8em;width:{100 * share:.1f}%;background:#4477aa"></div></td>'
        f'<td style="{_CELL}">{_share(share)}</td></tr>'
        for name, share in shares.items()
    )
    return f'<table style="border-collapse:collapse">{rows}</table>' if rows else ""


def _share(p: float) -> str:
    """Never 1 or 0, which no model can know."""
    return "&gt; 0.999" if p >= 0.9995 else "&lt; 0.001" if p < 0.0005 else f"{p:.3f}"
