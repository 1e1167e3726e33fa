"""A graph as an intermediate representation of OpenVINO: model.xml and model.bin."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openvino as ov

from hilum.exporting.record import as_text

KEY = "hilum"  # of the record in `rt_info`


def to_openvino(onnx_file: Path) -> ov.Model:
    """OpenVINO's own form of an ONNX file, in full precision."""
    return ov.convert_model(onnx_file)


def write(model: ov.Model, record: Mapping[str, Any], path: Path) -> Path:
    """Write both files, weights as they are (`save_model` would halve them).

    The record is one text in `rt_info`, which keeps six digits of a number and joins lists.
    """
    model.set_rt_info(as_text(dict(record)), [KEY])
    try:
        ov.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:  # a full disk as well, without its number
        raise OSError(
            f"OpenVINO could not write {path.name} ({str(error).splitlines()[-1]})"
        ) from error
    return path
