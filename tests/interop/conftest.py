"""One small finished run that every test of this room shares."""

from pathlib import Path

import pytest

import brevity
import hilum
from hilum.api.model import Model

CHANGES = (
    "data=[{phantom={images=48, size=96, seed=5}}]",
    'classes=["covid19", "normal"]',
    "augment.views=0",
    "model.mirror=false",
    'model.precision="fp32"',
    'model.pool="stages"',
    'train.balance="weights"',
    "figures=[]",
)


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder; its head was fitted to plain features, without mirror or augmented views."""
    folder = tmp_path_factory.mktemp("interop") / "out"
    with brevity.small_samples(), brevity.audits_of_tables(), brevity.no_figures():
        hilum.run("demo", out=folder, changes=CHANGES)
    return folder


@pytest.fixture(scope="session")
def model(out: Path) -> Model:
    """The model of that run."""
    return hilum.load_model(out)


@pytest.fixture(scope="session")
def film(out: Path) -> str:
    """The path of one of its films."""
    return str(hilum.open_data(out).table["path"].iloc[0])
