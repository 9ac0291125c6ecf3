"""The chi-square test of two samples: whether users were distributed as others were."""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Cells with fewer rows are added up, because the statistic of small counts is not distributed as chi-square.
_SMALLEST_CELL = 10


def sample_ratio(observed: Sequence[int], expected: Sequence[int]) -> float | None:
    """The probability that two samples of the same distribution differ at least as much. None if there is nothing to compare.

    `observed` and `expected` are the counts of the two samples for the same cells, and may have different sums.
    """
    pairs: list[tuple[int, int]] = []
    small = (0, 0)
    for one, other in zip(observed, expected, strict=True):
        if one + other >= _SMALLEST_CELL:
            pairs.append((one, other))
        else:
            small = (small[0] + one, small[1] + other)
    if sum(small):
        pairs.append(small)
    first, second = sum(one for one, _ in pairs), sum(other for _, other in pairs)
    if len(pairs) < 2 or not first or not second:
        return None
    ratio = math.sqrt(second / first)
    statistic = sum((one * ratio - other / ratio) ** 2 / (one + other) for one, other in pairs)
    return survival(statistic, len(pairs) - 1)


def survival(statistic: float, degrees: int) -> float:
    """The probability that a chi-square variable with this many degrees of freedom exceeds `statistic`.

    A finite sum, because twice the parameter of the incomplete gamma function is an integer.
    """
    half = statistic / 2
    if half <= 0:
        return 1.0
    total, parameter = (math.erfc(math.sqrt(half)), 0.5) if degrees % 2 else (math.exp(-half), 1.0)
    while parameter < degrees / 2:
        total += math.exp(parameter * math.log(half) - half - math.lgamma(parameter + 1))
        parameter += 1
    return min(total, 1.0)
