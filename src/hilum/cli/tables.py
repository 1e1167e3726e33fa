"""One table, drawn for a terminal or as plain aligned text for a pipe.

Short columns stay whole and long ones share what is left. Where that would be too little, each
row becomes a block with a line for each column.
"""

import re
from collections.abc import Sequence
from typing import TypeAlias

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Cell: TypeAlias = str | int | Text
NUMBER = re.compile(r"[-+]?[\d.,]+( ?%)?([-/–][\d.,]+)?|–|")  # also "0.91-0.95", "47/50", nothing
NARROW = 24  # a column of cells no longer than that is never wrapped
LEAST = 14  # letters that a wrapped column has; with fewer each row becomes a block of lines
NAMES = 20  # letters of a column's name where they do
# where a word that is longer than its column may be broken, the better places first: paths and
# the names of a grid's cells stay readable
JOINTS = (r"(?<=[/\\,;|])", r"(?<=[=:])", r"(?<=[_.-])")


def clean(text: str) -> str:
    """One line without control characters: file names may hold some, and terminals obey them."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def draw_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], width: int = 10_000
) -> RenderableType:
    """A rich table of at most `width` letters: numbers to the right, short columns whole."""
    cells = [[_text(cell) for cell in row] for row in rows]
    names = [clean(name) for name in columns]
    widths = shared(names, [[cell.plain for cell in row] for row in cells], width, between=2)
    if widths is None:
        return _stacked(title, names, cells, width)
    table = Table(
        title=Text(clean(title), "bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for i, name in enumerate(names):
        texts = [row[i].plain for row in cells]
        table.add_column(
            _fitted(Text(name, "dim"), widths[i]),
            justify="right" if _numeric(texts) else "left",
            width=widths[i],
            overflow="fold",
        )
    for row in cells:
        table.add_row(*map(_fitted, row, widths))
    return table


def _stacked(
    title: str, names: Sequence[str], cells: Sequence[Sequence[Text]], width: int
) -> Group:
    """Each row as lines of its own: the column's name, what it holds."""
    room = width - 2 - min(NAMES, max(map(len, names), default=0))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(max_width=NAMES, overflow="fold", style="dim")
    grid.add_column(overflow="fold", ratio=1)
    for row in cells:
        for name, cell in zip(names, row, strict=True):
            grid.add_row(name, _fitted(cell, room))
        grid.add_row("", "")
    return Group(Text(clean(title), "bold"), grid)


def plain(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    width: int | None = None,
) -> str:
    """The same without colour and lines, two blanks between columns; `width` bounds each line."""
    names = [clean(name) for name in columns]
    cells = [[_text(cell).plain for cell in row] for row in rows]
    widths = shared(names, cells, width or 10**9, between=2)
    if widths is None:
        return "\n".join([clean(title), *_records(names, cells, width or 0)])
    right = [_numeric([row[i] for row in cells]) for i in range(len(names))]
    lines = [line for row in (names, *cells) for line in _folded(row, widths)]
    return "\n".join([clean(title), *(_aligned(line, widths, right) for line in lines)])


def shared(
    names: Sequence[str], cells: Sequence[Sequence[str]], width: int, between: int
) -> list[int] | None:
    """The width of each column so that all fit, or None where the long ones would get too little.

    A name may be wrapped between its words. What is left after the least goes to long words first,
    then to what the cells hold, then to the names.
    """
    longest = [max((len(row[i]) for row in cells), default=0) for i in range(len(names))]
    natural = [max(cell, len(name), 1) for cell, name in zip(longest, names, strict=True)]
    if sum(natural) + between * (len(names) - 1) <= width:
        return natural
    figures = [_numeric([row[i] for row in cells]) for i in range(len(names))]
    words = [_longest_word([name]) for name in names]
    inside = [min(_longest_word([row[i] for row in cells]), width // 2) for i in range(len(names))]
    for whole in (NARROW, LEAST):
        least = [
            max(word, 1, cell if figure or cell <= whole else LEAST)
            for cell, word, figure in zip(longest, words, figures, strict=True)
        ]
        room = width - between * (len(names) - 1) - sum(least)
        if room >= 0:
            return _grown(least, room, (inside, longest, natural))
    return None


def _grown(widths: list[int], room: int, aims: Sequence[Sequence[int]]) -> list[int]:
    """Widths that reach one aim after the other; the first that is too far, each by its share."""
    for aim in aims:
        wanted = [max(most - part, 0) for most, part in zip(aim, widths, strict=True)]
        added = [min(more, room * more // max(sum(wanted), 1)) for more in wanted]
        widths = [part + more for part, more in zip(widths, added, strict=True)]
        room -= sum(added)
        if added != wanted:
            break
    return widths


def _longest_word(texts: Sequence[str]) -> int:
    return max((len(word) for text in texts for word in text.split()), default=0)


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` letters, broken between words; a longer word at its joints."""
    lines, line = [], ""
    for gap, word in re.findall(r"(\s*)(\S+)", text):
        if line and len(line) + len(gap) + len(word) <= width:
            line += gap + word
            continue
        *whole, last = _pieces(word, max(width, 1))
        lines += [line, *whole] if line else whole
        line = last
    return [*lines, line]


def _pieces(word: str, width: int) -> list[str]:
    """As few parts as its joints allow."""
    pieces = [""]
    for part in _parts(word, width, JOINTS):
        if len(pieces[-1]) + len(part) <= width:
            pieces[-1] += part
        else:
            pieces.append(part)
    return pieces


def _parts(word: str, width: int, joints: Sequence[str]) -> list[str]:
    if len(word) <= width:
        return [word]
    if not joints:
        return [word[i : i + width] for i in range(0, len(word), width)]
    split = re.split(joints[0], word)
    return [part for long in split for part in _parts(long, width, joints[1:])]


def _fitted(cell: Text, width: int) -> Text:
    return Text("\n".join(wrapped(cell.plain, width)), cell.style)


def _folded(row: Sequence[str], widths: Sequence[int]) -> list[list[str]]:
    """One row as as many lines as its longest cell needs."""
    parts = [wrapped(text, width) for text, width in zip(row, widths, strict=True)]
    height = max(map(len, parts), default=1)
    return [[part[i] if i < len(part) else "" for part in parts] for i in range(height)]


def _records(names: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> list[str]:
    label = min(NAMES, max(map(len, names), default=0))
    room = max(LEAST, width - label - 2)
    lines = []
    for row in cells:
        for name, text in zip(names, row, strict=True):
            pair = _folded((name, text), (label, room))
            lines += [f"{left.ljust(label)}  {right}".rstrip() for left, right in pair]
        lines.append("")
    return lines[:-1]


def _aligned(line: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    fitted = [
        text.rjust(width) if to_right else text.ljust(width)
        for text, width, to_right in zip(line, widths, right, strict=True)
    ]
    return "  ".join(fitted).rstrip()


def _text(cell: Cell) -> Text:
    """Literal text: brackets in a class name are no mark-up."""
    return cell if isinstance(cell, Text) else Text(clean(str(cell)))


def _numeric(texts: Sequence[str]) -> bool:
    return any(texts) and all(NUMBER.fullmatch(text) for text in texts)
