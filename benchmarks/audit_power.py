"""How often each audit finds a planted fault, and how often it complains where there is none.

    python benchmarks/audit_power.py --seeds 20 --out audit_power.csv
    python benchmarks/audit_power.py --seeds 20 --networks --images 80

The controls are those of the tests (tests/audits/controls.py): evidence of a seed, with a fault
in all that it concerns, in nine of ten, or without. Power is the share of planted ones of which an
audit complains, a false alarm a complaint of a clean one.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from hilum.metrics.intervals import wilson

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "audits"))
from controls import COLUMNS, CONTROLS, FULL, PARTIAL, asked


def table(measured: pd.DataFrame) -> str:
    """Markdown: per control how many complained, k of n with the Wilson interval."""
    lines = [
        "| audit | planted | in all | in nine of ten | clean: false alarms |",
        "|---|---|---|---|---|",
    ]
    for number, rows in measured.groupby("control"):
        control, told = CONTROLS[int(str(number))], rows.groupby("strength")["complained"]
        cells = [_cell(told.get_group(share)) for share in (FULL, PARTIAL, 0.0)]
        lines.append(f"| {control.audit} | {control.fault} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(told: pd.Series) -> str:
    k, n = int(told.sum()), len(told)
    low, high = wilson(k, n)
    return f"{k} of {n} ({low:.2f}-{high:.2f})"


def main() -> None:
    """Measure, store one row per answer, print the table."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--seeds", type=int, default=20)
    given.add_argument("--images", type=int, default=48, help="films of either kind")
    given.add_argument("--audits", default="", help="ids, separated by commas; default: all")
    given.add_argument("--networks", action="store_true", help="those of fitted networks alone")
    given.add_argument("--out", type=Path, default=Path("audit_power.csv"))
    wanted = given.parse_args()
    named = wanted.audits.split(",") if wanted.audits else []
    rows = []
    for row in asked(CONTROLS, wanted.seeds, wanted.images, named, slow=wanted.networks):
        rows.append(row)
        print(*row, flush=True)
    measured = pd.DataFrame(rows, columns=COLUMNS)
    measured.to_csv(wanted.out, index=False)
    print(table(measured))


if __name__ == "__main__":
    main()
