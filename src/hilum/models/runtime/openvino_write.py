"""A network written as OpenVINO's files, with a reason where the disk refuses."""

import errno
import os
import shutil
from pathlib import Path

import openvino as ov


def write_network(model: ov.Model, path: Path) -> None:
    """Write `path` and its .bin, weights as they are (`save_model` alone would halve them).

    Raises OSError where the disk refuses; OpenVINO itself raises "iostream error", whatever the
    reason.
    """
    try:
        ov.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:
        # compared with the whole network: what was written of it may be gone already
        is_full = shutil.disk_usage(path.parent).free < _bytes_of(model)
        number = errno.ENOSPC if is_full else errno.EIO
        raise OSError(number, os.strerror(number)) from error


def _bytes_of(model: ov.Model) -> int:
    """Of all weights."""
    constants = (op for op in model.get_ops() if op.get_type_name() == "Constant")
    return sum(int(op.get_byte_size()) for op in constants)
