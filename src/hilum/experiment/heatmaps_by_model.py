"""Heat maps of every cell's network on the same films, before the folds are removed.

Wirgård Wiklund et al. (study 001, figure 4) compare their networks' Grad-CAM in this way.
"""

import numpy as np
import pandas as pd

from hilum.experiment import checkpoints, evidence
from hilum.experiment.context import RunContext, preprocessing_of
from hilum.experiment.grid import GridResult
from hilum.experiment.select import SelectedCell
from hilum.inference import model_folder
from hilum.inference.model import TrainedModel
from hilum.progress import StepName
from hilum.report.figures import heatmap_page, heatmaps_by_model
from hilum.types import HilumError


def write_heatmaps_by_model(
    run: RunContext, grid_result: GridResult, selected: SelectedCell
) -> None:
    """Write `figures/heatmaps_by_model.npz` where the recipe asks for that figure.

    A network without a spatial map has none, and films that any of the networks was trained
    on are not shown.
    """
    if heatmaps_by_model.NAME not in run.recipe.figures:
        return
    from hilum.explain import cam, explainer, render

    networks = {
        str(cell): model_folder.load_trained_model(
            checkpoints.best_model_folder(run.work, str(cell))
        )
        for cell in grid_result.predictions["cell"].unique()
    }
    films = _films(run, grid_result, selected, networks)
    advance, rows = run.progress(StepName("heat maps of every model", "models")), []
    advance(0, len(networks))
    for number, (cell, model) in enumerate(networks.items(), 1):
        try:
            explainable = explainer.make_explainable(model)
            cam.require(explainable, heatmap_page.METHOD, model.pipeline.shape)
        except HilumError:
            continue
        digest = preprocessing_of(run.recipe).digest
        prepared = evidence.pixels_for_model(model, run.dataset, digest, run.progress)
        for film in films.to_dict("records"):
            image = np.ascontiguousarray(prepared.stack[film["at"]])
            (p,) = model.probabilities(image[None])
            predicted = int(p.argmax())
            share = render.relative(cam.heat(explainable, image, predicted, heatmap_page.METHOD))
            rows.append(
                heatmaps_by_model.SeenByCell(
                    cell, film["sample_id"], film["label"], run.classes[predicted],
                    float(p[predicted]), image, np.rint(share * 255).astype(np.uint8),
                )
            )  # fmt: skip
        advance(number, len(networks))
    heatmaps_by_model.keep_heatmaps(run.out / "figures", rows)


def _films(
    run: RunContext,
    grid_result: GridResult,
    selected: SelectedCell,
    networks: dict[str, TrainedModel],
) -> pd.DataFrame:
    """Of each class the unseen test film with the middle probability of its class.

    Columns sample_id, label and at, its row in the manifest.
    """
    table = run.dataset.manifest.table
    seen = {name for model in networks.values() for name in model.facts.seen}
    seen |= {name for source in grid_result.sources.values() for name in source.facts.seen}
    predictions = grid_result.predictions
    answers = predictions[predictions["cell"] == selected.cell].drop_duplicates("sample_id")
    at = pd.Series(np.arange(len(table)), index=table["sample_id"])
    answers = answers.assign(at=answers["sample_id"].map(at))
    answers = answers[~table["sha256"].isin(seen).to_numpy()[answers["at"]]]
    true = [row[f"p_{row['label']}"] for row in answers.to_dict("records")]
    answers = answers.assign(true=true).sort_values(["true", "sample_id"])
    middle = [
        rows.iloc[[len(rows) // 2]]
        for name in run.classes
        if len(rows := answers[answers["label"] == name])
    ]
    return pd.concat([answers.iloc[:0], *middle])[["sample_id", "label", "at"]]
