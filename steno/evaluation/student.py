"""Student's t distribution, and the tails of bootstrap percentiles that are honest for few units."""

import math
from statistics import NormalDist

_NORMAL = NormalDist()
_LARGE = 2000
"""Degrees of freedom from which the normal distribution is used; they differ by less than 1e-4 there."""


def t_cdf(t: float, degrees: int) -> float:
    """P(T ≤ t) for a whole number of degrees of freedom.

    Source: Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.3 and 26.7.4.
    """
    if degrees >= _LARGE:
        return _NORMAL.cdf(t)
    angle = math.atan(abs(t) / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term = series = cosine if odd else 1.0
    for k in range(3 if odd else 2, degrees - 1, 2):
        term *= (k - 1) / k * cosine * cosine
        series += term
    if not odd:
        within = sine * series
    elif degrees == 1:
        within = 2 * angle / math.pi
    else:
        within = 2 / math.pi * (angle + sine * series)
    return 0.5 + math.copysign(within / 2, t)


def t_quantile(share: float, degrees: int) -> float:
    """The t of which ``share`` of the distribution lies below, by bisection."""
    low, high = -1e6, 1e6
    for _ in range(100):
        middle = (low + high) / 2
        if t_cdf(middle, degrees) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def expanded_tail(tail: float, units: int) -> float:
    """Which percentile of the bootstrap distribution to take for a tail of an interval, such as 0.025.

    Plain percentiles make intervals that are too narrow for few units, by about the factor √((n−1)/n) and
    the difference between the normal distribution and Student's t. This is the expanded percentile interval
    of Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69 (2015).
    """
    if units < 2:
        return tail
    return _NORMAL.cdf(math.sqrt(units / (units - 1)) * t_quantile(tail, units - 1))


def contracted_tail(tail: float, units: int) -> float:
    """The inverse of :func:`expanded_tail`: the tail probability that a bootstrap percentile stands for."""
    if units < 2 or not 0 < tail < 1:
        return tail
    return t_cdf(math.sqrt((units - 1) / units) * _NORMAL.inv_cdf(tail), units - 1)
