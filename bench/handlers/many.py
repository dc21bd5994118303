"""As many types as BENCH_TYPES says, named noop-0, noop-1 and so on."""

import os
from collections.abc import Callable
from typing import Any

from jobfleet import Job, handler


def noop() -> Callable[[Job[dict[str, Any]]], None]:
    """A function of its own for each type, as a user would have."""

    def noop(job: Job[dict[str, Any]]) -> None:
        pass

    return noop


for number in range(int(os.environ["BENCH_TYPES"])):
    globals()[f"noop_{number}"] = handler(f"noop-{number}")(noop())
