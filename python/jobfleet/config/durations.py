"""Durations and sizes as people write them: `30s`, `1m30s`, `250ms`, `64MiB`."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")

_UNIT_BYTES: Final = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


class Duration:
    """A span of time that is never negative."""

    __slots__ = ("s",)

    def __init__(self, s: float) -> None:
        self.s = s

    @property
    def ms(self) -> int:
        """The span in whole milliseconds."""
        return round(self.s * 1000)

    @classmethod
    def parse(cls, value: object) -> Duration:
        """Read `30`, `"30"` (both seconds), `"250ms"` or `"1m30s"`. Raises `ValueError`."""
        if isinstance(value, Duration):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = float(value)
        elif isinstance(value, str):
            seconds = _seconds(value.strip().lower())
        else:
            seconds = -1.0
        if not 0 <= seconds < float("inf"):
            raise ValueError('expected a duration such as "30s", "1m30s" or "250ms", or a number of seconds')
        return cls(seconds)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Duration) and self.s == other.s

    def __hash__(self) -> int:
        return hash(self.s)

    def __str__(self) -> str:
        whole, rest = divmod(self.ms, 1000)
        return f"{self.ms}ms" if rest else f"{whole}s"

    def __repr__(self) -> str:
        return f"Duration({self.s:g})"


class Bounds(NamedTuple):
    """What a duration may be, both ends included."""

    least: Duration
    most: Duration | None = None

    def admit(self, value: Duration) -> bool:
        """Whether a duration lies between them."""
        return self.least.s <= value.s and (self.most is None or value.s <= self.most.s)

    def __str__(self) -> str:
        return f"of at least {self.least}" if self.most is None else f"from {self.least} to {self.most}"


class ByteSize(int):
    """A number of bytes."""

    @classmethod
    def parse(cls, value: object) -> ByteSize:
        """Read `4096`, `"64MiB"` or `"1GB"`. Raises `ValueError`."""
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return cls(value)
        match = _SIZE.fullmatch(value.strip().lower()) if isinstance(value, str) else None
        if match is None or match[2] not in _UNIT_BYTES:
            raise ValueError('expected a size such as "64MiB", or a number of bytes')
        return cls(float(match[1]) * _UNIT_BYTES[match[2]])


def _seconds(text: str) -> float:
    """Seconds of `text`, or -1 when it is no duration."""
    try:
        return float(text)
    except ValueError:
        pass
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return -1.0
    return sum(float(number) * _UNIT_S[unit] for number, unit in parts)
