"""Versions that change numbers: what is kept on disk is good for the libraries that made it."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

import hilum

NETWORKS = ("torch", "timm", "openvino")
FITS = ("scikit-learn", "numpy", "scipy")
IMAGES = (
    "opencv-python-headless", "pillow", "pydicom", "simplejpeg", "python-gdcm",
    "pylibjpeg-openjpeg", "pyjpegls",
)  # fmt: skip


def releases(*names: str) -> dict[str, str]:
    """hilum's whole version; of libraries the first two numbers: a third is for bug fixes."""
    return {"hilum": hilum.__version__, **{name: _release(name) for name in names}}


@cache  # each look reads the package's metadata, and a process keeps what it has imported
def _release(name: str) -> str:
    try:
        return ".".join(version(name).split("+")[0].split(".")[:2])
    except PackageNotFoundError:
        return "not installed"
