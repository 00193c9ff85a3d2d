"""What the places of a page's rows, their seconds in the direction of the chain, tell of the order of the list."""

from collections.abc import Sequence
from itertools import accumulate, islice
from operator import le, sub


def is_past(places: Sequence[int], bound: int) -> bool:
    """Whether every row before the place `bound` has been listed.

    Where rows stand out of order one of them tells nothing, but a whole page beyond does.
    """
    if not places or is_falling(places):
        return False
    return min(places) >= bound or (is_in_order(places) and places[-1] >= bound)


def is_in_order(places: Sequence[int]) -> bool:
    return all(map(le, places, islice(places, 1, None)))


def highest_so_far(places: Sequence[int]) -> Sequence[int]:
    """Of each row, the highest place up to it."""
    return places if is_in_order(places) else list(accumulate(places, max))


def may_be_a_straggler(places: Sequence[int]) -> bool:
    """Whether these are rows out of order among others, or two seconds the wrong way round: a larger page will tell.

    A list that goes the wrong way never rises.
    """
    steps = _steps(places)
    return sum(step < 0 for step in steps) == 1 or any(step > 0 for step in steps)


def is_falling(places: Sequence[int]) -> bool:
    """Whether a page is listed the wrong way round.

    Rows here and there out of order are another matter: a server that lists in the order of storing has them.
    """
    if is_in_order(places):
        return False
    steps = _steps(places)
    return sum(step < 0 for step in steps) > sum(step > 0 for step in steps)


def _steps(places: Sequence[int]) -> list[int]:
    return list(map(sub, islice(places, 1, None), places))
