"""The pause before a failed job is tried again."""

from collections.abc import Mapping
from dataclasses import dataclass

from jobfleet.handlers.duration import Duration, to_ms
from jobfleet.handlers.errors import HandlerOptionError

USUAL_TRIES = 3
"""Retries that a modelled task has unless its author says otherwise; tells the first try from the second."""


@dataclass(frozen=True)
class Backoff:
    """An exponential pause with jitter: `first`, then `factor` times more with each try, at most `maximum`.

    The engine tells how many retries are left, not how many tries were made; the try is counted from `tries`, or from
    three where it is not given. With `tries` a job is tried at most so often, whatever its model says.
    """

    first: Duration = 1.0
    factor: float = 2.0
    maximum: Duration = 60.0
    jitter: float = 0.2
    """Share of the pause that is added at random, so that jobs that failed together do not return together."""
    tries: int | None = None

    def __post_init__(self) -> None:
        try:
            if to_ms(self.first, "first") > to_ms(self.maximum, "maximum"):
                raise ValueError(f"first ({self.first!r}) is longer than maximum ({self.maximum!r})")
            if not 1.0 <= self.factor <= 100.0:
                raise ValueError(f"factor is {self.factor!r}; give a number from 1 to 100")
            if not 0.0 <= self.jitter <= 1.0:
                raise ValueError(f"jitter is {self.jitter!r}; give a share from 0 to 1")
            if self.tries is not None and self.tries < 1:
                raise ValueError(f"tries is {self.tries!r}; give 1 or more, or None")
        except (TypeError, ValueError) as wrong:
            raise HandlerOptionError(f"Backoff: {wrong}") from None

    def retries_left(self, retries: int) -> int:
        """What is left of `retries` after this failure."""
        if self.tries is not None:
            retries = min(retries, self.tries)
        return max(0, retries - 1)

    def pause_ms(self, retries: int) -> int:
        """The pause after a failure of a job that had `retries` left when it was activated."""
        earlier_tries = max(0, (self.tries or USUAL_TRIES) - retries)
        longest = to_ms(self.maximum, "maximum")
        try:
            pause = min(to_ms(self.first, "first") * self.factor**earlier_tries, longest)
        except OverflowError:
            pause = longest
        # Where it is imported, every fork seeds it anew; most fleets never come here.
        from random import random  # noqa: PLC0415

        return round(pause * (1.0 + self.jitter * random()))  # noqa: S311 - spreads load, hides nothing


DEFAULT_BACKOFF = Backoff()
"""At least one second: a failure that is repeated because its answer was lost must not hit the next holder."""

BackoffOption = Backoff | Mapping[type[BaseException], Backoff]
"""One back-off for every exception, or one per exception class; the most specific class counts."""


def backoff_for(option: BackoffOption, error: type[BaseException]) -> Backoff:
    """The back-off that `option` has for an exception of class `error`."""
    if isinstance(option, Backoff):
        return option
    for ancestor in error.__mro__:
        if ancestor in option:
            return option[ancestor]
    return DEFAULT_BACKOFF
