"""Backbones, their weights, and the executor that turns prepared pixels into features."""

import sys

# openvino and nncf report every start to a web service, and write to the home folder, unless the
# package that does it is missing: nothing of a hospital's work leaves it
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
