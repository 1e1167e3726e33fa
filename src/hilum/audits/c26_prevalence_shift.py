"""C-26: are there as many of each class as in training, and would the model notice?"""

import numpy as np
import numpy.typing as npt

from hilum.audits import predictions
from hilum.audits.base import AuditRule
from hilum.audits.evidence import Evidence
from hilum.types import Finding, Labels, Probabilities

RULE = AuditRule(
    id="C-26",
    title="Prevalence shift",
    rule="an estimate of the tested images' class shares that is off by more than 0.1, and "
    "by more than chance (bootstrap, 99% over all classes), warns",
    source="Saerens et al. 2002, doi:10.1162/089976602753284446; Cohen et al. 2020, "
    "arXiv:2002.02497",
    severity=120,
)
OFF = 0.1
ROUNDS, STILL = 1000, 1e-8
REPLICATES, NEAR = 400, 1e-4


def estimated(
    p: Probabilities, prior: npt.NDArray[np.float64], still: float = STILL
) -> tuple[npt.NDArray[np.float64], Probabilities]:
    """Class shares (class,) of the images by expectation maximisation, and p at them.

    `p` (image, class) are probabilities under the training shares `prior` (class,). Saerens et al.
    2002, eq. 2.4.
    """
    shares = prior.copy()
    corrected = p
    for _ in range(ROUNDS):
        corrected = p * (shares / prior)
        corrected = corrected / corrected.sum(1, keepdims=True)
        now = corrected.mean(0)
        if np.abs(now - shares).max() < still:
            break
        shares = now
    return shares, corrected


def audit(evidence: Evidence) -> Finding:
    """Shares by the EM against the true ones; accuracy before and after the correction."""
    prior = _prior(evidence)
    if prior is None:
        return RULE.unknown("the classes' shares in training were not recorded")
    labels, p = predictions.labels_and_probabilities(evidence, predictions.predictions(evidence))
    truth = np.bincount(labels, minlength=len(evidence.classes)) / len(labels)
    shares, corrected = estimated(p, prior)
    off = float(np.abs(shares - truth).max())
    i = int(np.abs(shares - truth).argmax())
    before, after = ((table.argmax(1) == labels).mean() for table in (p, corrected))
    sentence = (
        f"{evidence.classes[i]} makes up {prior[i]:.0%} of training and {truth[i]:.0%} "
        f"of the tested images; the model's answers alone suggest {shares[i]:.0%}. "
        f"On these {len(labels):,} images accuracy is {before:.1%}, and {after:.1%} after "
        "correcting for the suggested shares."
    )
    beyond = off > OFF and beyond_chance(labels, p, prior, evidence.seed)[i]
    return RULE.finding("warn" if beyond else "pass", off, sentence)


def beyond_chance(
    labels: Labels, p: Probabilities, prior: npt.NDArray[np.float64], seed: int
) -> npt.NDArray[np.bool_]:
    """(class,) whether resampled images, too, put the estimate on one side of the true share."""
    random = np.random.default_rng([seed, 26])
    off = []
    for _ in range(REPLICATES):
        resample = random.integers(0, len(labels), len(labels))
        truth = np.bincount(labels[resample], minlength=len(prior)) / len(labels)
        off.append(estimated(p[resample], prior, NEAR)[0] - truth)
    tail = 0.005 / len(prior)
    low, high = np.quantile(off, [tail, 1 - tail], axis=0)
    return np.asarray((low > 0) | (high < 0), bool)


def _prior(evidence: Evidence) -> npt.NDArray[np.float64] | None:
    """Class shares of the training part, by the split, else by the model's record."""
    recorded = evidence.model.facts.provenance.get("classes") if evidence.model else None
    if recorded:
        counts = np.array([recorded.get(name, 0) for name in evidence.classes], float)
        return counts / counts.sum() if (counts > 0).all() else None
    if evidence.split is None:
        return None
    train = evidence.split.table[evidence.split.table["part"] == "train"]
    labels = evidence.manifest.set_index("sample_id")["label"].reindex(train["sample_id"])
    counts = np.array([(labels == name).sum() for name in evidence.classes], float)
    return counts / counts.sum() if (counts > 0).all() else None
