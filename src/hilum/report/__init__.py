"""The report: figures and one self-contained page, drawn from a finished run's files."""

from hilum.report.html import build

__all__ = ["build"]
