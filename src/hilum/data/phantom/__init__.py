"""The embedded data: seeded synthetic posteroanterior chest radiographs with ground truth."""

from hilum.data.phantom.generate import Phantom, generate
from hilum.data.phantom.request import CLASSES, Request
from hilum.data.phantom.store import read, write

__all__ = ["CLASSES", "Phantom", "Request", "generate", "read", "write"]
