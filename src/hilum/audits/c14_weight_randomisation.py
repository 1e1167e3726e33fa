"""C-14: do the heat maps change when the weights do, or do they only show the image?"""

from hilum.audits import sampled_maps
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.types import Finding, Status

RULE = AuditRule(
    id="C-14",
    title="Heat maps depend on the weights",
    rule="rank correlation of heat maps before and after all weights are made random: above 0.3 "
    "fails",
    source="Adebayo et al. 2018, arXiv:1810.03292",
    remedy="do not use heat maps to explain this model",
    severity=20,
    expensive=True,
)
IMAGES, LIMIT = 12, 0.3


def audit(evidence: Evidence) -> Finding:
    """Cascading randomisation from the head down (Adebayo et al. 2018), seen by
    Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) of the class that the model gave.
    """
    from hilum.explain import cam, sanity_checks

    sample = sampled_maps.heat_maps(evidence).head(IMAGES)
    model = sampled_maps.explainable(evidence)
    course = sanity_checks.cascading_randomisation(
        model, sample.films, sample.classes, cam.heat, evidence.seed
    )
    value, head = float(course["spearman"].iloc[-1]), float(course["spearman"].iloc[1])
    status: Status = "fail" if value > LIMIT else "pass"
    meaning = (
        "the maps show the image, not the model"
        if status == "fail"
        else ("the maps depend on the model")
    )
    sentence = (
        "After all weights are randomised, the heat maps have a rank correlation of "
        f"{value:.2f} with the originals ({head:.2f} with the head alone): {meaning}."
    )
    return RULE.finding(status, value, sentence)
