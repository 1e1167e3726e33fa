"""C-13: does the heat of the explanations lie in the lungs?"""

import numpy as np

from hilum.audits import sampled_maps, sampling
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.preprocess.lungs import masks
from hilum.types import Finding, HilumError, Status

RULE = AuditRule(
    id="C-13",
    title="Heat in the lungs",
    rule="lift = share of the Grad-CAM heat that lies in the lungs / share of the image "
    "that the lungs cover: below 1 warns, below 1 with its whole interval fails",
    source="López-Cabrera et al. 2021, doi:10.1007/s12553-021-00520-2; Wang et al. 2020 (energy)",
    remedy="look at the heat maps, and crop the images to the lungs (step crop_lungs)",
    severity=160,
)
LEAST = 10  # images with lungs and heat
MARGIN = 0.02  # of the shorter side: a map's places are coarse


def audit(evidence: Evidence) -> Finding:
    """Energy-based pointing game on the lungs of test images whose mask can be believed.

    Wang et al. 2020, arXiv:1910.01279, divided by the lungs' share of the image.
    """
    from hilum.explain import sanity_checks

    sample = sampled_maps.heat_maps(evidence)
    shares = []
    for lungs, heat in zip(sampling.lungs(evidence, sample.rows), sample.maps, strict=True):
        if all(panel.good for panel in lungs) and heat.any():
            inside = [masks.dilated(panel.mask, MARGIN, hull=True) for panel in lungs]
            energy = sanity_checks.energy(heat, np.concatenate(inside))
            shares.append((energy.inside, energy.area))
    if len(shares) < LEAST:
        raise HilumError(
            f"only {len(shares)} of {len(sample.rows)} images have a reliable lung mask and heat; "
            f"at least {LEAST} are needed"
        )
    inside, area = np.array(shares).T

    def lift(rows: np.ndarray) -> float:
        """Of images (image,): 1 where heat is spread evenly."""
        return float(inside[rows].mean() / area[rows].mean())

    value = lift(np.arange(len(inside)))
    low, high = sampled_maps.interval(lift, len(inside), evidence.seed)
    status: Status = "fail" if high < 1 else "warn" if value < 1 else "pass"
    sentence = (
        f"{inside.mean():.0%} of the heat lies in the lungs, which cover "
        f"{area.mean():.0%} of the image (lift {value:.2f}, {len(shares)} "
        f"images){': the model looks elsewhere' if value < 1 else ''}."
    )
    return RULE.finding(status, value, sentence, (low, high))
