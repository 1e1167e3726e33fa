"""The report: figures and one self-contained page, drawn from a finished run's files."""

from hilum.report.html import build
from hilum.report.masks import build as build_masks

__all__ = ["build", "build_masks"]
