"""Medians, bootstrap intervals and verdicts.

Samples of one row come in rounds; in each round every allocator ran once, close together in time.
So a ratio of two allocators is bootstrapped by drawing whole rounds: what disturbed a round
disturbed both. A ratio whose interval holds 1 is "no difference", and is printed as such.
"""

from dataclasses import dataclass

import numpy

RESAMPLES = 4000      # the interval's own noise is then far below its width
CONFIDENCE = 95.0     # percent
FEW_SAMPLES = 5       # below this a bootstrap says little: the table warns


@dataclass
class Estimate:
    median: float
    low: float
    high: float
    count: int


def percentile_range(values):
    tail = (100.0 - CONFIDENCE) / 2
    return float(numpy.percentile(values, tail)), float(numpy.percentile(values, 100.0 - tail))


def draws(count, seed):
    """Which samples each resample holds: one row of indices per resample."""
    return numpy.random.default_rng(seed).integers(0, count, size=(RESAMPLES, count))


def estimate(values, seed=1):
    """Median of the values with its bootstrap interval."""
    values = numpy.asarray(values, dtype=float)
    if values.size == 1:
        return Estimate(float(values[0]), float(values[0]), float(values[0]), 1)
    medians = numpy.median(values[draws(values.size, seed)], axis=1)
    low, high = percentile_range(medians)
    return Estimate(float(numpy.median(values)), low, high, int(values.size))


def ratio(mine, other, seed=1):
    """Ratio of the medians of two allocators: {round: value} each. Only common rounds count.

    None when there is no common round or the other's median is 0."""
    rounds = sorted(set(mine) & set(other))
    if not rounds:
        return None
    a = numpy.array([mine[r] for r in rounds], dtype=float)
    b = numpy.array([other[r] for r in rounds], dtype=float)
    if numpy.median(b) <= 0:
        return None
    middle = float(numpy.median(a) / numpy.median(b))
    if len(rounds) == 1:
        return Estimate(middle, middle, middle, 1)
    chosen = draws(len(rounds), seed)
    below = numpy.median(b[chosen], axis=1)
    quotients = numpy.median(a[chosen], axis=1)[below > 0] / below[below > 0]
    low, high = percentile_range(quotients)
    return Estimate(middle, low, high, len(rounds))


def is_different(quotient):
    """Whether a ratio's interval leaves 1 out. One round never shows a difference."""
    return quotient is not None and quotient.count > 1 and (quotient.low > 1.0 or quotient.high < 1.0)


def geometric_mean(values):
    values = [v for v in values if v and v > 0]
    return float(numpy.exp(numpy.mean(numpy.log(values)))) if values else None
