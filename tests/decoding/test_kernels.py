"""The steps of the search, run as plain Python: the histogram against a sort, the cut-off against Kaldi's rules."""

import numpy as np
import pytest

from asr.decoding import kernels as k


def settings_of(beam, max_active, min_active):
    settings = np.zeros(k.N_SETTINGS)
    settings[[k.BEAM, k.MAX_ACTIVE, k.MIN_ACTIVE]] = beam, max_active, min_active
    return settings


@pytest.mark.parametrize("seed", range(8))
def test_nth_cost_is_just_above_the_order_statistic(seed):
    rng = np.random.default_rng(seed)
    cost = rng.exponential(3.0, 500) + rng.normal(0, 50)
    if seed % 2:
        cost = np.round(cost)  # many equal ones
    n, here, bins = 300, 120, np.empty(k.N_BINS, np.int64)
    part = np.sort(cost[here : here + n])
    for rank in (0, 1, 50, 298):
        found = k.nth_cost(cost, here, n, rank, part[0], part[-1] + 1.0, bins)
        assert (part < found).sum() > rank
        assert part[rank] <= found <= part[rank] + (part[-1] + 1.0 - part[0]) / k.N_BINS**2 * 1.01


@pytest.mark.parametrize(
    ("beam", "max_active", "min_active", "kept"),
    [(5.0, 100, 0, 5), (5.0, 3, 0, 4), (5.0, 100, 8, 9), (5.0, 100, 20, 20), (50.0, 6, 2, 7)],
)
def test_cut_off_follows_beam_max_active_and_min_active(beam, max_active, min_active, kept):
    """Costs 0, 1, 2 ... 19. Where a bound on the number decides, the limit is a hair above Kaldi's: one token more."""
    cost = np.random.default_rng(0).permutation(20).astype(np.float64)
    limit = k.cut_off(cost, 0, 20, 0.0, settings_of(beam, max_active, min_active), np.empty(k.N_BINS, np.int64))
    assert (cost < limit).sum() == kept


def test_acoustic_costs_notice_every_value_that_is_not_finite():
    row, cost = np.arange(6, dtype=np.float32)[None], np.empty(6)
    assert k.acoustic_costs(row, 0, 0.5, cost)
    assert cost.tolist() == [-0.0, -0.5, -1.0, -1.5, -2.0, -2.5]
    for value in (np.nan, np.inf, -np.inf):
        for i in range(6):
            bad = row.copy()
            bad[0, i] = value
            with np.errstate(invalid="ignore"):
                assert not k.acoustic_costs(bad, 0, 0.5, cost)
