"""Percentiles are nearest-rank: always a sample that was measured."""

import random

import pytest

from load.latencies import Latencies


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.95, 95), (0.951, 96), (0.99, 99), (1.0, 100)]
)
def test_quantile_of_one_to_a_hundred_is_the_nearest_rank(share, expected):
    samples = list(range(1, 101))
    random.shuffle(samples)
    assert Latencies(samples).quantile(share) == expected


def test_quantile_counts_samples_added_after_the_first_question():
    latencies = Latencies([0.001])
    assert latencies.ms(0.5) == pytest.approx(1.0)
    latencies.add(0.005)
    latencies.add(0.009)
    assert latencies.ms(0.5) == pytest.approx(5.0)
    assert len(latencies) == 3


def test_quantile_without_samples_is_zero():
    assert Latencies().quantile(0.95) == 0.0
