"""Provenance: what ran, where and when."""

import platform
import resource
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import hilum
from hilum import files

PACKAGES = (
    "numpy",
    "pandas",
    "scikit-learn",
    "torch",
    "timm",
    "openvino",
    "pydicom",
    "pillow",
    "opencv-python-headless",
)


def describe_environment() -> dict[str, Any]:
    """Versions, processor and accelerator, as plain values; loads torch to ask about the device."""
    import torch

    from hilum.models.runtime.torch import has_bf16

    return {
        "hilum": hilum.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": files.available_cpus(),
        "accelerator": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none",
        "bf16": has_bf16(torch.device("cpu")),
        "cache": "ready" if files.cache_home().exists() else "empty",
        **{name: _version(name) for name in PACKAGES},
    }


def provenance(seconds: float) -> dict[str, Any]:
    """`environment` with the command, the time and the memory that the run took."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kibibytes
    return {
        **describe_environment(),
        "command": " ".join(["hilum", *sys.argv[1:]]),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "peak_memory_mb": round(peak * unit / 2**20),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
