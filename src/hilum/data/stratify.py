"""Stratify: put whole groups of images into bins so that each bin gets its share of every class.

The task of scikit-learn's StratifiedGroupKFold:
https://scikit-learn.org/stable/modules/generated/sklearn.model_selection.StratifiedGroupKFold.html
"""

import numpy as np
import numpy.typing as npt


def fill_strata(
    counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Put groups, counted by class (group, class), into bins: largest first, where most is missing.

    The cost of a bin is the change of its squared distance from the targets, relative to them.
    While a class or the whole has no more groups left than bins without one, only those bins count.
    """
    target = targets(counts.sum(axis=0), shares)  # (bin, class)
    with_total = np.column_stack([counts.sum(axis=1), counts])  # the whole comes first
    left = (with_total > 0).sum(axis=0)
    held = np.zeros((len(shares), with_total.shape[1]), np.int64)
    order = rng.permutation(len(counts))
    order = order[np.argsort(-with_total[order, 0], kind="stable")]
    chosen = np.empty(len(counts), np.int64)
    for group in order:
        gain = counts[group]
        cost = (gain * (2 * (held[:, 1:] - target) + gain) / target).sum(axis=1)
        cost[~_eligible_bins(held, left, with_total[group] > 0)] = np.inf
        best = int(np.argmin(cost))
        chosen[group] = best
        held[best] += with_total[group]
        left -= with_total[group] > 0
    return chosen


def _eligible_bins(
    held: npt.NDArray[np.int64], left: npt.NDArray[np.int64], touched: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Bins (bin,) that a group may go to, so that no bin stays without a class that it needs."""
    free = np.ones(len(held), dtype=bool)
    for column in np.flatnonzero(touched):
        lacking = held[:, column] == 0
        urgent = lacking.any() and left[column] <= lacking.sum()
        if urgent and (free & lacking).any():
            free &= lacking
    return free


def targets(
    totals: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Images expected (bin, class): largest remainders, at least 1, ties to the emptier bin."""
    wanted = np.empty((len(shares), len(totals)), np.int64)
    for column, total in enumerate(totals):
        exact = total * shares
        # binary fractions miss whole numbers and ties by their last bits
        counts = np.floor(exact + 1e-9).astype(np.int64)
        sofar = wanted[:, :column].sum(axis=1) / shares
        rank = np.lexsort((sofar, -np.round(exact - counts, 9)))
        counts[rank[: total - counts.sum()]] += 1
        while (counts == 0).any():
            counts[np.argmax(counts)] -= 1
            counts[np.argmin(counts)] += 1
        wanted[:, column] = counts
    return wanted
