"""A process that draws a share of a phantom's films; see `processes.gather`.

Run as a module: JSON as its argument, a line of JSON per film on standard output.
"""

import json
import sys
from pathlib import Path
from typing import Any

import cv2

from hilum.phantom.files import draw_films
from hilum.phantom.request import Request


def main() -> None:
    """Draw what the argument asks for."""
    cv2.setNumThreads(1)  # the other cores have a process of their own
    order = json.loads(sys.argv[1])
    dials: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in order["request"].items()
    }
    k, n = order["share"]
    for row in draw_films(Request(**dials), Path(order["root"]), (k, n)):
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
