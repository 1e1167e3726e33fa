"""A graph as an intermediate representation of OpenVINO: model.xml and model.bin."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openvino as ov

from hilum.exporting.record import as_text
from hilum.models.runtime import openvino_write

KEY = "hilum"  # of the record in `rt_info`


def to_openvino(onnx_file: Path) -> ov.Model:
    """OpenVINO's own form of an ONNX file, in full precision."""
    return ov.convert_model(onnx_file)


def write(model: ov.Model, record: Mapping[str, Any], path: Path) -> Path:
    """Write both files; raises OSError where the disk refuses.

    The record is one text in `rt_info`, which keeps six digits of a number and joins lists.
    """
    model.set_rt_info(as_text(dict(record)), [KEY])
    openvino_write.write_network(model, path)
    return path
