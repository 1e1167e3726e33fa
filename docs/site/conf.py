"""Settings of Sphinx. `make docs` stages the pages into a folder of their own, then builds them."""

import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ConfigError

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import stage_pages  # noqa: E402

import hilum  # noqa: E402

project = "hilum"
author = "The hilum authors"
copyright = f"{author}. {hilum.NOTICE}"  # noqa: A001 - Sphinx calls it so
version = release = hilum.__version__

extensions = ["myst_parser"]
root_doc = "index"
source_suffix = {".md": "markdown"}
nitpicky = True
nitpick_ignore_regex = [("py:.*", r".*")]  # types in signatures belong to other libraries
add_module_names = False
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
myst_heading_anchors = 3
smartquotes = False  # a sentence of ours keeps its own signs

html_theme = "furo"
html_title = f"hilum {release}"
html_static_path = ["static"]
html_css_files = ["hilum.css"]
html_js_files = ["hilum.js"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5f8a", "color-brand-content": "#0b5f8a"},
    "dark_css_variables": {"color-brand-primary": "#7cc4ec", "color-brand-content": "#7cc4ec"},
    "announcement": hilum.NOTICE,
}


def setup(app: Sphinx) -> None:
    """Stage the pages before Sphinx looks for them."""
    app.connect("builder-inited", lambda built: stage(Path(built.srcdir)))


def stage(folder: Path) -> None:
    """The pages below `folder`; a link that leads nowhere is one sentence, not a traceback."""
    try:
        stage_pages.stage(folder)
    except ValueError as error:
        raise ConfigError(str(error)) from error
