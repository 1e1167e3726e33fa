"""What the examples of docstrings and scripts stand on: two small hospitals and a finished run."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

import brevity
import hilum
from hilum import phantom

CHANGES = (
    "data=[{phantom={images=40, size=96, seed=3}}]",
    'classes=["covid19", "normal"]',
    "augment.views=0",
    "figures=[]",
)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`films/` and `other_hospital/` (class folders), `film.png`, and the run `out/`."""
    home = tmp_path_factory.mktemp("world")
    for name, seed, count in (("films", 21, 40), ("other_hospital", 22, 24)):
        films = phantom.generate(phantom.Request(images=count, size=96, seed=seed))
        for i, row in films.table.iterrows():
            folder = home / name / str(row["label"])
            folder.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(folder / f"{row['patient_id']}_{i}.png"), films.images[i])
    (home / "film.png").write_bytes(min((home / "films" / "normal").iterdir()).read_bytes())
    with brevity.small_samples(), brevity.audits_of_tables(), brevity.no_figures():
        hilum.run("demo", out=home / "out", changes=CHANGES)
    return home


@pytest.fixture
def at_home(world: Path, small_samples: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder is `world`; audits and figures are few."""
    monkeypatch.chdir(world)
    with brevity.audits_of_tables(), brevity.no_figures():
        yield world
