"""Model card, CLAIM 2024, TRIPOD+AI and CHAI card, filled from a finished run's files."""

from hilum.report.cards.write import CARDS, WrittenCard, write_cards

__all__ = ["CARDS", "WrittenCard", "write_cards"]
