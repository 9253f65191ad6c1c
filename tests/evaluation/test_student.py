"""Student's t against values from tables, and its use for bootstrap tails."""

import math

import pytest

from steno.evaluation.student import contracted_tail, expanded_tail, t_cdf, t_quantile


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (9, 2.2622), (30, 2.0423)]
)
def test_quantiles_are_those_of_the_tables(degrees: int, quantile: float) -> None:
    assert t_quantile(0.975, degrees) == pytest.approx(quantile, abs=1e-4)
    assert t_cdf(-quantile, degrees) == pytest.approx(0.025, abs=1e-5)
    assert t_cdf(0, degrees) == 0.5


def test_it_becomes_the_normal_distribution() -> None:
    assert t_quantile(0.975, 10_000) == pytest.approx(1.95996, abs=1e-4)
    assert t_cdf(1.0, 1999) == pytest.approx(t_cdf(1.0, 2000), abs=1e-4)
    assert t_cdf(math.inf, 5) == 1.0


def test_few_units_take_further_tails() -> None:
    assert expanded_tail(0.025, 8) < expanded_tail(0.025, 100) < 0.025
    assert expanded_tail(0.025, 100_000) == pytest.approx(0.025, abs=1e-4)
    for units in (5, 8, 300):
        assert contracted_tail(expanded_tail(0.025, units), units) == pytest.approx(0.025, rel=1e-4)
    assert expanded_tail(0.025, 1) == 0.025
