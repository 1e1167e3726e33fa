"""A second test on later films, and the same films under every cell's network."""

from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import binomtest

from hilum import experiment, phantom, recipes
from hilum.inference import model_json
from hilum.recipes import Recipe
from hilum.types import Results

pytestmark = pytest.mark.usefixtures("few_audits")


def silent(name: str):
    return lambda done, total: None


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 films of as many patients, as a table."""
    out = tmp_path_factory.mktemp("films")
    wanted = phantom.Request(images=90, size=96, seed=3, images_per_patient=1)
    made = phantom.write_phantom(wanted, out, lambda done, total: None).table
    made[["path", "label", "patient_id"]].to_csv(out / "films.csv", index=False)
    return out / "films.csv"


def plan(films: Path, later: str, *changes: str) -> Recipe:
    return recipes.load_recipe(
        "demo",
        changes=[
            'classes=["covid19","normal"]',
            f'data=[{{path="{films}", take={{covid19=25, normal=25}}}}]',
            f"later=[{later}]",
            "model.weights=random",
            'train.stages=[{optimiser="adam", epochs=2}]',
            'split={kind="holdout"}',
            "augment.views=0",
            "figures=[]",
            *changes,
        ],
    )


TINY = "model.backbone=test_efficientnet"
TWO = ('grid={"model.head"=["linear","mlp"]}', TINY, "prepare.side=64")
THREE = (
    'grid={"model.backbone"=["tf_efficientnet_lite0","wiklund_cnn","wiklund_fc"]}',
    "prepare.side=224",
)


@pytest.fixture(
    scope="module", params=[TWO, pytest.param(THREE, marks=pytest.mark.slow)], ids=["two", "three"]
)
def out(
    films: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Path:
    """A finished run of two cells, or of three networks of which one has no map."""
    out = tmp_path_factory.mktemp("run")
    later = f'{{path="{films}", keep={{label=["normal"]}}, take={{normal=12}}}}'
    figures = 'figures=["heatmaps_by_model"]'
    experiment.run_recipe(plan(films, later, *request.param, figures), None, out, silent)
    return out


def test_later_films_are_of_other_patients_and_scored_with_an_interval(out: Path) -> None:
    """Spec S1-04: further films without a finding, disjoint from the study's."""
    shown = pd.read_csv(out / "later_predictions.csv")
    own = pd.read_parquet(out / "manifest.parquet")
    assert not set(shown["patient_id"]) & set(own["patient_id"])
    assert not set(shown["sample_id"]) & set(own["sample_id"])
    assert set(shown["label"]) == {"normal"}
    assert shown["cell"].value_counts().unique().tolist() == [12]
    results = Results.from_json(pd.read_json(out / "results.json", typ="series").to_dict())
    for cell, rows in shown.groupby("cell"):
        (score,) = (s for s in results.scores if (s.cell, s.name) == (cell, "accuracy"))
        right = int((rows["p_normal"] > rows["p_covid19"]).sum())
        assert (score.k, score.n) == (right, 12)
        wilson = binomtest(right, 12).proportion_ci(method="wilson")
        assert (score.low, score.high) == pytest.approx((wilson.low, wilson.high), abs=1e-6)
    assert any("second test: 12 normal of other patients" in line for line in results.limits)
    assert "later" in (out / "report.html").read_text()


def test_later_films_are_shown_to_the_model_that_is_kept(out: Path, tmp_path: Path) -> None:
    shown = pd.read_csv(out / "later_predictions.csv")
    chosen = model_json.read_metadata(out / "model")["provenance"]["cell"]
    mine = shown[shown["cell"] == f"{chosen}: later"]
    paths = [Path(path) for path in mine["path"]]
    experiment.predict_files(out / "model", paths, tmp_path / "p.csv", silent)
    again = pd.read_csv(tmp_path / "p.csv")
    assert again["p_normal"].to_numpy() == pytest.approx(mine["p_normal"].to_numpy(), abs=1e-6)


def test_the_same_unseen_films_under_every_network_that_has_a_map(out: Path) -> None:
    """Study 001, figure 4: Grad-CAM of its networks beside each other (spec S1-15)."""
    table = pd.read_csv(out / "figures" / "study_heatmaps_by_model.csv")
    every = set(pd.read_csv(out / "predictions.csv")["cell"])
    assert set(table["cell"]) == every - {"backbone=wiklund_fc"}
    assert table["cell"].nunique() == 2
    for _, rows in table.groupby("cell"):
        assert rows["label"].tolist() == ["covid19", "normal"]
        assert rows["sample_id"].tolist() == table["sample_id"].tolist()[:2]
    tested = pd.read_csv(out / "splits.csv").set_index("sample_id")["part"]
    assert set(tested[table["sample_id"]]) == {"test"}
    predictions = pd.read_csv(out / "predictions.csv").set_index(["cell", "sample_id"])
    for row in table.itertuples():
        p = predictions.at[(row.cell, row.sample_id), f"p_{row.said}"]
        assert row.probability == pytest.approx(p, abs=1e-6)
    assert (out / "figures" / "study_heatmaps_by_model.png").is_file()


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize(
    ("keep", "some"),
    [
        ('label=["normal"]', True),
        pytest.param('label=["normal"], view=["lateral"]', False, marks=pytest.mark.slow),
    ],
)
def test_fewer_later_films_than_asked_for_stop_no_study(
    films: Path, tmp_path: Path, keep: str, some: bool
) -> None:
    later = f'{{path="{films}", keep={{{keep}}}, take={{normal=500}}}}'
    small = plan(films, later, TINY, "prepare.side=64")
    results = experiment.run_recipe(small, None, tmp_path, silent)
    if some:
        table = pd.read_csv(films)
        left = int((table["label"] == "normal").sum()) - 25
        assert len(pd.read_csv(tmp_path / "later_predictions.csv")) == left
        assert any(f"{left} normal (of 500 asked for)" in line for line in results.limits)
    else:
        assert not (tmp_path / "later_predictions.csv").exists()
        assert any(line.startswith("No second test on later films") for line in results.limits)
