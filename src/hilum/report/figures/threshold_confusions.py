"""The confusion matrix of one class against the rest at each threshold."""

from hilum.report.figures import operating_points
from hilum.report.figures.base import DrawnFigure, one_seed, positive_class, seed_note
from hilum.report.figures.matrix import drawn_matrices
from hilum.report.run_folder import RunFolder


def draw_threshold_confusions(run: RunFolder) -> DrawnFigure | None:
    predictions = one_seed(run)
    if predictions is None or len(run.classes) < 2:
        return None
    counts = operating_points.confusions(predictions, positive_class(run.classes))
    return drawn_matrices(counts, f"positive from the threshold on.{seed_note(run)}".rstrip("."))
