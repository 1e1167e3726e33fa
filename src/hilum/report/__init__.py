"""The report: figures and one self-contained page, drawn from a finished run's files."""

from hilum.report.page import build
from hilum.report.segmentation import build as build_masks

__all__ = ["build", "build_masks"]
