"""Pickles that would make a folder: read as weights, none of them does (E-04)."""

import copyreg
import io
import os
import pickle
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hilum.models import weights
from hilum.models.backbones import backbone_card
from hilum.types import HilumError

CARD = backbone_card("mobilenetv2_035")
EXTENSION = 0x7A11  # a code for copyreg's registry that nobody has


class Call:
    """Pickled as a call: what unpickling it does."""

    def __init__(self, function: Callable[..., Any], *values: Any) -> None:
        self.does = function, values

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.does


class State:
    """Pickled as an empty set with a state; `call` is made while the state is read."""

    def __init__(self, call: Call) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return OrderedDict, (), {"state": self.call}


class Listed(State):
    """Pickled as a list that a call is appended to."""

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (), None, iter([self.call])


class Filled(State):
    """Pickled as a dictionary that a call is put into."""

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (), None, None, iter([("key", self.call)])


def by_hand(folder: str) -> dict[str, bytes]:
    """Opcodes that Python's own pickler does not write."""
    path, text = folder.encode(), b"V" + folder.encode() + b"\n"
    call = b"cos\nmkdir\n(" + text + b"tR"
    return {
        "INST": b"(" + text + b"ios\nmkdir\n.",
        "OBJ": b"(cos\nmkdir\n" + text + b"o.",
        "GLOBAL and REDUCE": call + b".",
        "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x05mkdir\x93\x8c" + bytes([len(path)]) + path
        + b"\x85R.",
        "called, then thrown away": call + b"0}.",
        "in a memo": call + b"q\x000}.",
        "before the end of a mark": b"(" + call + b"1}.",
        "EXT4": b"\x80\x02\x84" + EXTENSION.to_bytes(4, "little") + text + b"\x85R.",
        "as a persistent number": call + b"Q.",
    }  # fmt: skip


def contents(folder: str) -> dict[str, Any]:
    """Objects whose pickles call os.mkdir, directly or by what else can be called."""
    call = Call(os.mkdir, folder)
    script = f"__import__('os').mkdir({folder!r})"
    return {
        "alone": call,
        "in a state dict": {"state_dict": {"conv.weight": call}},
        "as a key": {call: torch.zeros(1)},
        "in a tuple": (1, (2, call)),
        "in a set": {call},
        "in a frozenset": frozenset([call]),
        "in a state": State(call),
        "appended": Listed(call),
        "filled in": Filled(call),
        "in an OrderedDict": OrderedDict(x=call),
        "by eval": Call(eval, script),
        "by exec": Call(exec, script),
        "by partial": Call(partial(os.mkdir, folder)),
        "by getattr": Call(map, Call(getattr, os, "mkdir"), [folder]),
        "by map": Call(list, Call(map, os.mkdir, [folder])),
        "by methodcaller": Call(methodcaller("mkdir"), Path(folder)),
        "by a nested pickle": Call(pickle.loads, pickle.dumps(call)),
        "by torch's storage": Call(torch.storage._load_from_bytes, pickle.dumps(call)),
        "in an array of objects": np.array([call, None], object),
        "in place of a tensor": {
            "w": Call(torch._utils._rebuild_tensor_v2, call, 0, (1,), (1,), False, None)
        },
    }


def files(folder: str) -> dict[str, bytes]:
    """Every shape as the bytes of a file."""
    found = {f"protocol {n}": pickle.dumps(Call(os.mkdir, folder), n) for n in range(6)}
    found |= by_hand(folder)
    for name, content in contents(folder).items():
        try:
            found[name] = pickle.dumps(content, 2)
        except (pickle.PicklingError, TypeError):  # modules, local objects
            continue
    whole = io.BytesIO()
    torch.save({"x": Call(os.mkdir, folder)}, whole)
    found["torch, zip"] = whole.getvalue()
    old = io.BytesIO()
    torch.save({"x": Call(os.mkdir, folder)}, old, _use_new_zipfile_serialization=False)
    found["torch, before 1.6"] = old.getvalue()
    found["torch's numbers before the content"] = b"".join(
        pickle.dumps(part, 2)
        for part in (0x1950A86A20F9469CFC6C, 1001, Call(os.mkdir, folder), {}, [])
    )
    found["tar"] = _tar(pickle.dumps(Call(os.mkdir, folder), 2))
    found["zip of another name"] = _zip(pickle.dumps(Call(os.mkdir, folder), 2))
    return found


def _tar(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def _zip(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ("data.pkl", "version", "byteorder", "constants/data.pkl"):
            archive.writestr(f"archive/{name}", content)
    return out.getvalue()


NAMES = sorted(files("name"))
NOT_FOR_PICKLE = {"zip of another name", "tar", "torch, zip"}  # formats of torch alone


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    copyreg.add_extension("os", "mkdir", EXTENSION)
    yield tmp_path / "c"
    copyreg.remove_extension("os", "mkdir", EXTENSION)


def test_there_are_many_of_them() -> None:
    assert len(NAMES) >= 36, NAMES


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_it_is_run(name: str, canary: Path, tmp_path: Path) -> None:
    content = files(str(canary))[name]
    for suffix in (".pth", ".pt", ".safetensors", ".h5"):
        path = tmp_path / f"weights{suffix}"
        path.write_bytes(content)
        with pytest.raises(HilumError):
            weights.read_weights(CARD, path)
        assert not canary.exists(), suffix
    if name not in NOT_FOR_PICKLE:
        _plain(content)
        assert canary.exists(), "the pickle does nothing anywhere: the test is worth nothing"


def _plain(content: bytes) -> None:
    """All pickles of a file, with nothing restricted."""
    stream = io.BytesIO(content)
    unpickler = type("Plain", (pickle.Unpickler,), {"persistent_load": lambda self, number: None})
    with suppress(Exception):  # whatever follows the call
        while True:
            unpickler(stream).load()
