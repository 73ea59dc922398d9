"""Bootstrap intervals: seeded, centred, and as wide as theory says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vouchrec.evals import intervals
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


# ---- ratios -------------------------------------------------------------------------------------------------------


def test_a_ratio_of_ones_is_the_mean():
    values = [0.0, 1.0, 1.0, 0.5, 0.25]
    (found,) = intervals.bootstrap_ratio(values, [1.0] * 5, seed=3)
    plain = intervals.bootstrap(values, seed=3)
    assert found.value == pytest.approx(plain.value)
    assert (found.low, found.high) == (pytest.approx(plain.low), pytest.approx(plain.high))  # the same draws


def test_a_ratio_by_hand():
    # 1 of 2 and 3 of 4 right: 4 of 6, not the mean of the shares. Resamples give 1/2, 4/6 or 3/4.
    (found,) = intervals.bootstrap_ratio([1, 3], [2, 4], seed=0)
    assert found == intervals.Interval(pytest.approx(4 / 6), 1 / 2, 3 / 4)


def test_columns_are_figures_over_the_same_cases():
    parts = np.asarray([[1.0, 0.0], [3.0, 1.0], [0.0, 1.0]])
    wholes = np.asarray([[2.0, 1.0], [4.0, 1.0], [0.0, 1.0]])
    both = intervals.bootstrap_ratio(parts, wholes, seed=1)
    alone = [intervals.bootstrap_ratio(parts[:, i], wholes[:, i], seed=1)[0] for i in (0, 1)]
    for one, other in zip(both, alone, strict=True):
        assert vars_of(one) == pytest.approx(vars_of(other))
    assert both[0].value == pytest.approx(4 / 6)  # the third case has no denominator


def vars_of(interval: intervals.Interval) -> list[float]:
    return [interval.value, interval.low, interval.high]


def test_paired_ratio_of_the_same_is_nothing():
    own = ([1, 0, 1, 0], [1, 1, 2, 1])
    (found,) = intervals.paired_ratio(own, own, seed=0)
    assert vars_of(found) == [0, 0, 0]
    assert intervals.swap_test(own, own, seed=0) == [1.0]


def test_swap_test_by_hand():
    # Ten cases, all better by 1: 2 of 2^10 ways of swapping are as large.
    own, base = ([1.0] * 10, [1.0] * 10), ([0.0] * 10, [1.0] * 10)
    (p,) = intervals.swap_test(own, base, seed=0, trials=20_000)
    assert p == pytest.approx(2 / 1024, abs=0.001)
    (mixed,) = intervals.swap_test(([1.0, 0.0], [1.0, 1.0]), ([0.0, 1.0], [1.0, 1.0]), seed=0)
    assert mixed == 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_by_definition(p_values: list[float]):
    found = intervals.holm(p_values)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for place, index in enumerate(order):
        steps = [min(1.0, p_values[i] * (len(p_values) - k)) for k, i in enumerate(order[: place + 1])]
        assert found[index] == pytest.approx(max(steps))
        assert found[index] >= p_values[index]
    assert intervals.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@pytest.mark.parametrize(
    ("parts", "wholes", "words"),
    [
        ([], [], "no values"),
        ([1.0], [1.0, 1.0], "must be the same"),
        ([1.0], [0.0], "not all 0"),
        ([1.0, 1.0], [2.0, -1.0], "from 0 up"),
        ([math.nan], [1.0], "not finite"),
    ],
)
def test_ratios_that_cannot_be(parts: list[float], wholes: list[float], words: str):
    with pytest.raises(ValueError, match=words):
        intervals.bootstrap_ratio(parts, wholes, seed=0)
