"""Bootstrap intervals: seeded, centred, and as wide as theory says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vouchrec.evals.intervals import Interval, bootstrap, bootstrap_statistic, paired_bootstrap

values = st.lists(st.floats(-1, 1), min_size=1, max_size=30)


@settings(max_examples=25, deadline=None)
@given(values)
def test_the_interval_stays_within_the_values(sample: list[float]):
    interval = bootstrap(sample, seed=0, resamples=200)
    assert interval.value == pytest.approx(sum(sample) / len(sample), abs=1e-9)
    assert min(sample) - 1e-9 <= interval.low <= interval.high <= max(sample) + 1e-9


def test_the_same_seed_gives_the_same_interval():
    sample = np.random.default_rng(0).random(50).tolist()
    assert bootstrap(sample, seed=4) == bootstrap(sample, seed=4)
    assert bootstrap(sample, seed=4) != bootstrap(sample, seed=5)


def test_the_width_is_that_of_a_mean():
    # 400 coins: the standard error is 0.5 / 20, and 95% are 1.96 of them on each side.
    interval = bootstrap([0.0, 1.0] * 200, seed=1)
    assert interval.value == 1 / 2
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 0.5 / 20, rel=0.08)


def test_large_samples_are_drawn_in_pieces():
    sample = np.zeros(600_000)
    assert bootstrap(sample.tolist(), seed=0, resamples=8) == Interval(0.0, 0.0, 0.0)


def test_pairs_cancel_what_the_cases_share():
    # Cases differ wildly, the difference is always 0.1.
    base = np.random.default_rng(0).random(40)
    interval = paired_bootstrap((base + 0.1).tolist(), base.tolist(), seed=2, resamples=500)
    assert interval.low == pytest.approx(0.1)
    assert interval.high == pytest.approx(0.1)
    assert interval.excludes_zero


def test_sign():
    assert Interval(0.2, 0.1, 0.3).excludes_zero
    assert Interval(-0.2, -0.3, -0.1).excludes_zero
    assert not Interval(0.1, -0.1, 0.3).excludes_zero


def test_a_set_statistic_keeps_its_value_in_the_middle():
    lists = [{index, (index * 7) % 40} for index in range(30)]

    def distinct(sample: np.ndarray) -> float:
        return float(len(set().union(*(lists[index] for index in sample))))

    interval = bootstrap_statistic(distinct, 30, seed=3, resamples=300)
    assert interval.value == len(set().union(*lists))
    assert (interval.low + interval.high) / 2 == pytest.approx(interval.value)
    assert interval.low < interval.value


@pytest.mark.parametrize("sample", [[], [0.1, math.nan], [math.inf]])
def test_undefined_cases_must_be_left_out(sample: list[float]):
    with pytest.raises(ValueError, match=r"no values|not finite"):
        bootstrap(sample, seed=0)


def test_pairs_must_be_the_same_cases():
    with pytest.raises(ValueError, match="the cases must be the same"):
        paired_bootstrap([1.0], [1.0, 2.0], seed=0)
    with pytest.raises(ValueError, match="no cases"):
        bootstrap_statistic(lambda sample: 0.0, 0, seed=0)
