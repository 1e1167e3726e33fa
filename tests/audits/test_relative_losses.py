"""C-25: what corruptions cost, resample by resample."""

import numpy as np
import pytest

from hilum.audits.c25_corruption import relative_losses


def test_a_resample_at_chance_has_no_share_to_lose() -> None:
    accuracies = np.array([[0.9, 0.7, 0.5], [0.5, 0.5, 0.4], [0.75, 0.5, 0.75]])
    losses = relative_losses(accuracies, chance=0.5)
    assert losses == pytest.approx(np.array([[0.5, 1.0], [1.0, 0.0]]))
