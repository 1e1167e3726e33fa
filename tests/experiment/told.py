"""A step that keeps what it is told."""


class Told:
    """How far a step came, (done, total) in turn, and its notes."""

    def __init__(self) -> None:
        self.counts: list[tuple[int, int]] = []
        self.notes: list[str] = []

    def __call__(self, done: int, total: int) -> None:
        self.counts.append((done, total))

    def note(self, words: str, /) -> None:
        self.notes.append(words)
