"""A sheet of heat maps as a figure of the page's full width."""

from matplotlib.figure import Figure

from hilum.explain.render import Colour8
from hilum.report.style import blank

METHOD, TITLE = "gradcam", "Grad-CAM"
WIDE = 9.2  # inches: the page's full width


def sheet_figure(page: Colour8) -> Figure:
    """A picture one to one on a figure of the page's full width."""
    dots = page.shape[1] / WIDE
    figure = blank(WIDE, page.shape[0] / dots, dots=round(dots))
    axes = figure.subplots()
    axes.imshow(page)
    axes.set_axis_off()
    return figure
