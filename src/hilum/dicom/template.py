"""A sequence that is encoded once; its few values of a film are filled in.

Building and encoding a report's content with highdicom and pydicom takes longer than the network:
most of it is the same for every film of a model. Explicit VR Little Endian, DICOM PS3.5 7.1.2 and
7.5: https://dicom.nema.org/medical/dicom/current/output/chtml/part05/sect_7.5.html
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pydicom import DataElement, Dataset
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from hilum.dicom.header import UTF_8

ITEM = b"\xfe\xff\x00\xe0"
ENCODING = (False, True)  # implicit VR, little endian

Value: TypeAlias = str | float


@dataclass(frozen=True, slots=True)
class Slot:
    """An element whose value is a film's own: text, or a number of VR FD."""

    head: bytes  # tag and VR
    vr: str
    name: Value  # the mark at its place in the pattern

    def filled(self, values: Mapping[Value, Value]) -> bytes:
        """The whole element."""
        value = values[self.name]
        if isinstance(value, float):
            data = struct.pack("<d", value)
        else:
            data = value.encode()
            data += (b"\0" if self.vr == "UI" else b" ") * (len(data) % 2)
        return self.head + _length(self.vr, len(data)) + data


@dataclass(frozen=True, slots=True)
class Items:
    """A sequence; each of its items is made of parts."""

    head: bytes
    items: tuple[tuple["Part", ...], ...]

    def filled(self, values: Mapping[Value, Value]) -> bytes:
        """The whole element."""
        data = self.content(values)
        return self.head + _length("SQ", len(data)) + data

    def content(self, values: Mapping[Value, Value]) -> bytes:
        """Its items alone."""
        made = [b"".join(p if isinstance(p, bytes) else p.filled(values) for p in parts)
                for parts in self.items]  # fmt: skip
        return b"".join(ITEM + struct.pack("<L", len(item)) + item for item in made)


Part: TypeAlias = bytes | Slot | Items


def pattern(items: Iterable[Dataset], names: Iterable[Value]) -> Items:
    """The parts of items; where a value is one of `names`, a film's own is filled in."""
    return _items(b"", items, frozenset(names))


def filled(tag: BaseTag, parts: Items, values: Mapping[Value, Value]) -> RawDataElement:
    """The sequence with a film's values: as pydicom reads one, and writes it as it is."""
    data = parts.content(values)
    return RawDataElement(tag, "SQ", len(data), data, 0, *ENCODING)


def _items(head: bytes, items: Iterable[Dataset], names: frozenset[Value]) -> Items:
    return Items(head, tuple(tuple(_parts(item, names)) for item in items))


def _parts(dataset: Dataset, names: frozenset[Value]) -> Sequence[Part]:
    """Neighbours that are the same for all films are one part."""
    parts: list[Part] = []
    for element in dataset:
        part = _part(element, names)
        if parts and isinstance(part, bytes) and isinstance(parts[-1], bytes):
            parts[-1] += part
        else:
            parts.append(part)
    return parts


def _part(element: DataElement, names: frozenset[Value]) -> Part:
    head = struct.pack("<HH", element.tag.group, element.tag.elem) + element.VR.encode()
    if element.VR == "SQ":
        made = _items(head, element.value, names)
        same = all(isinstance(part, bytes) for item in made.items for part in item)
        return made.filled({}) if same else made
    name = element.value if element.VR == "FD" else str(element.value)
    return Slot(head, element.VR, name) if name in names else _encoded(element)


def _encoded(element: DataElement) -> bytes:
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = ENCODING
    write_data_element(file, element, UTF_8)
    return file.getvalue()


def _length(vr: str, length: int) -> bytes:
    """DICOM PS3.5 7.1.2: two bytes, or two reserved ones and four."""
    return (
        struct.pack("<HL", 0, length) if vr in EXPLICIT_VR_LENGTH_32 else struct.pack("<H", length)
    )
