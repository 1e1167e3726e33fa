"""Backbones, their weights, and the executor that turns prepared pixels into features."""

import sys

# openvino and nncf tell a web service of every start, and write to the home folder, unless the
# package that does it is missing: nothing of a hospital's work is told to anyone
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
