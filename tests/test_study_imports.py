"""The package of jobs loads what a job needs, and no more."""

import subprocess
import sys

import pytest

from hilum import experiment

HEAVY = ("hilum.audits", "hilum.report", "captum", "sklearn", "scipy", "torch", "pydicom")


def test_a_prediction_waits_for_no_audit_and_no_report() -> None:
    code = (
        "import sys; from hilum.experiment import predict_files;"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("name", experiment.__all__)
def test_every_job_is_there(name: str) -> None:
    assert callable(getattr(experiment, name))


def test_another_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="got 'guess'"):
        experiment.guess  # noqa: B018
