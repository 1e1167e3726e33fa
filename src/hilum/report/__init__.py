"""The report: figures and one self-contained page, drawn from a finished run's files."""

from hilum.report.page import build_report
from hilum.report.segmentation import build_segmentation_report

__all__ = ["build_report", "build_segmentation_report"]
