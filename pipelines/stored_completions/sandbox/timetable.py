"""When the invented company's completions were created."""

from bisect import bisect
from datetime import UTC, datetime
from itertools import accumulate
from random import Random

_DAYS = 45
_HOUR = 3600
_WEEKDAYS = (1.0, 1.1, 1.1, 1.0, 0.9, 0.25, 0.2)
_HOURS = (1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 20, 19, 15, 17, 19, 18, 15, 11, 7, 5, 4, 3, 2, 1)
_BURSTS = 0.03


def even(count: int, until: int, per_second: int) -> list[int]:
    """Consecutive seconds with `per_second` rows each; only the first may have fewer."""
    return [until - place // per_second for place in range(count - 1, -1, -1)]


def office_hours(count: int, until: int, dice: Random) -> list[int]:
    """Rising seconds of 45 days, most of them on workdays by day; now and then several rows share one."""
    start = until - _DAYS * 24 * _HOUR
    rhythm = list(accumulate(_busyness(start + hour * _HOUR) for hour in range(_DAYS * 24)))
    marks = sorted(dice.random() * rhythm[-1] for _ in range(count))
    seconds = [start + _seconds_in(rhythm, mark) for mark in marks]
    _gather(seconds, dice)
    return [*seconds[:-1], until][:count]


def _busyness(unix: int) -> float:
    moment = datetime.fromtimestamp(unix, UTC)
    return _WEEKDAYS[moment.weekday()] * _HOURS[moment.hour]


def _seconds_in(rhythm: list[float], mark: float) -> int:
    """How far from the start a mark lies that counts busyness rather than time."""
    hour = bisect(rhythm, mark)
    before = rhythm[hour - 1] if hour else 0.0
    return int((hour + (mark - before) / (rhythm[hour] - before)) * _HOUR)


def _gather(seconds: list[int], dice: Random) -> None:
    """Bursts: a few rows move into the second of the one before them."""
    place = 0
    while place < len(seconds):
        size = dice.randint(2, 6) if dice.random() < _BURSTS else 1
        seconds[place : place + size] = [seconds[place]] * len(seconds[place : place + size])
        place += size
