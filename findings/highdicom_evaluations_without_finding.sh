#!/usr/bin/env bash
# highdicom's list of qualitative evaluations leaves out every evaluation that is named "Finding", also when that name is asked for.
#
# Expected: in TID 1501, a row "Finding" (121071, DCM) says what a measurement group is about, and further rows are qualitative
# evaluations (PS3.16). A group may hold an evaluation of that name: highdicom's writer takes QualitativeEvaluation(Finding, ...) and
# stores it. So get_qualitative_evaluations(name=Finding) is expected to return what was written under this name.
# Seen, highdicom 0.28.2: it returns nothing for Finding, and every other evaluation by its name. The list without a name lacks
# Finding as well. The value is in `finding_type`, which is the first of them; a second one is in neither.
# hilum reads and writes one Finding for each group; its page on results says where a program finds it.
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet --disable-pip-version-check highdicom==0.28.2 pydicom==3.0.2 numpy==2.3.5
"$home/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import highdicom as hd
import pydicom
from highdicom import sr
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

warnings.simplefilter("ignore")
PRESENT, OTHER = Code("A", "99TEST", "Present"), Code("B", "99TEST", "Absent")
QUESTION = Code("Q", "99TEST", "Question")


def group(evaluations):
    """A measurement group with these qualitative evaluations."""
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=hd.UID(), identifier="one"),
        qualitative_evaluations=[sr.QualitativeEvaluation(name, value) for name, value in evaluations],
    )


made = group([(codes.DCM.Finding, PRESENT), (codes.DCM.Finding, OTHER), (QUESTION, OTHER)])
items = [item for item in made[0].ContentSequence if item.ValueType == "CODE"]
seen = {
    "written as Finding": sum(item.name == codes.DCM.Finding for item in items),
    "asked for Finding": len(made.get_qualitative_evaluations(name=codes.DCM.Finding)),
    "asked for another": len(made.get_qualitative_evaluations(name=QUESTION)),
    "all": len(made.get_qualitative_evaluations()),
    "finding_type": str(made.finding_type.meaning),
}
print(f"Python {sys.version.split()[0]}, highdicom {hd.__version__}, pydicom {pydicom.__version__}")
for what, found in seen.items():
    print(f"{what}: {found}")
wanted = {
    "written as Finding": 2, "asked for Finding": 0, "asked for another": 1, "all": 1, "finding_type": "Present",
}
sys.exit(0 if seen == wanted else 1)
PYTHON
