"""Durations as authors write them: `"30s"`, seconds, timedelta."""

import math
import re
from datetime import timedelta

Duration = float | str | timedelta
"""Seconds, a timedelta, or a text of number and unit: `"250ms"`, `"30s"`, `"5m"`, `"1.5h"`, `"1d"`."""

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_TEXT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")
_MAX_MS = 2**53
"""Above it the number is no longer exact in every JSON reader on the way."""


def to_ms(value: Duration, name: str) -> int:
    """`value` in whole milliseconds. Raises ValueError that names the option `name`."""
    if isinstance(value, bool):
        raise ValueError(f"{name} is {value}; {_ADVICE}")
    if isinstance(value, timedelta):
        milliseconds = value / timedelta(milliseconds=1)
    elif isinstance(value, str):
        found = _TEXT.fullmatch(value)
        if found is None:
            raise ValueError(f"{name} is {value!r}; {_ADVICE}")
        milliseconds = float(found[1]) * _UNITS_MS[found[2]]
    elif isinstance(value, int | float):
        milliseconds = value * 1000.0
    else:
        raise ValueError(f"{name} is {value!r}; {_ADVICE}")
    if not math.isfinite(milliseconds) or not 0 <= milliseconds <= _MAX_MS:
        raise ValueError(f"{name} is {value!r}, which is out of range; {_ADVICE}")
    return round(milliseconds)


_ADVICE = 'give seconds, a timedelta, or a text such as "250ms", "30s", "5m"'
