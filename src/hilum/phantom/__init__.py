"""The embedded data: seeded synthetic posteroanterior chest radiographs with ground truth."""

from hilum.phantom.files import write_phantom
from hilum.phantom.generate import Phantom, generate
from hilum.phantom.request import CLASSES, Request

__all__ = ["CLASSES", "Phantom", "Request", "generate", "write_phantom"]
