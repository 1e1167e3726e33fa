"""What every cell's network looks at: the same few films, before the folds are cleared away.

Wirgård Wiklund et al. (study 001, figure 4) set their networks' Grad-CAM beside each other.
"""

import numpy as np
import pandas as pd

from hilum.experiment import checkpoints, evidence
from hilum.experiment.context import RunContext, preprocessing_of
from hilum.experiment.grid import GridResult
from hilum.experiment.select import SelectedCell
from hilum.inference import model as models
from hilum.inference.model import TrainedModel
from hilum.report.figures import heatmap_page, heatmaps_by_model
from hilum.types import HilumError


def write_heatmaps_by_model(ground: RunContext, grown: GridResult, taken: SelectedCell) -> None:
    """Write `figures/heatmaps_by_model.npz` where the recipe asks for that figure.

    A network without a spatial map has none, and films that any of the networks has learnt from are
    not shown.
    """
    if heatmaps_by_model.NAME not in ground.recipe.figures:
        return
    from hilum.explain import cam, explainer

    found = {
        str(cell): models.load_trained_model(checkpoints.best_model_folder(ground.work, str(cell)))
        for cell in grown.predictions["cell"].unique()
    }
    films = _films(ground, grown, taken, found)
    move, rows = ground.progress("heat maps of every model"), []
    for number, (cell, model) in enumerate(found.items(), 1):
        try:
            asked = explainer.make_explainable(model)
            cam.require(asked, heatmap_page.METHOD, model.pipeline.shape)
        except HilumError:
            continue
        digest = preprocessing_of(ground.recipe).digest
        shown = evidence.pixels_for_model(model, ground.dataset, digest, ground.progress)
        for film in films.to_dict("records"):
            pixels = np.ascontiguousarray(shown.stack[film["at"]])
            (p,) = model.probabilities(pixels[None])
            said = int(p.argmax())
            share = cam.relative(cam.heat(asked, pixels, said, heatmap_page.METHOD))
            rows.append(
                heatmaps_by_model.Seen(
                    cell, film["sample_id"], film["label"], ground.classes[said], float(p[said]),
                    pixels, np.rint(share * 255).astype(np.uint8),
                )
            )  # fmt: skip
        move(number, len(found))
    heatmaps_by_model.keep_heatmaps(ground.out / "figures", rows)


def _films(
    ground: RunContext, grown: GridResult, taken: SelectedCell, found: dict[str, TrainedModel]
) -> pd.DataFrame:
    """Of each class the unseen test film with the middle probability of its class.

    Columns sample_id, label and at, its place in the manifest.
    """
    table = ground.dataset.manifest.table
    seen = {name for model in found.values() for name in model.facts.seen}
    seen |= {name for learnt in grown.sources.values() for name in learnt.facts.seen}
    every = grown.predictions
    mine = every[every["cell"] == taken.cell].drop_duplicates("sample_id")
    at = pd.Series(np.arange(len(table)), index=table["sample_id"])
    mine = mine.assign(at=mine["sample_id"].map(at))
    mine = mine[~table["sha256"].isin(seen).to_numpy()[mine["at"]]]
    true = [row[f"p_{row['label']}"] for row in mine.to_dict("records")]
    mine = mine.assign(true=true).sort_values(["true", "sample_id"])
    middle = [
        rows.iloc[[len(rows) // 2]]
        for name in ground.classes
        if len(rows := mine[mine["label"] == name])
    ]
    return pd.concat([mine.iloc[:0], *middle])[["sample_id", "label", "at"]]
