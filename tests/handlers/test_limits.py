"""Time limits as authors and pools declare them."""

from __future__ import annotations

import pytest
from jobfleet import handler
from jobfleet.handlers import LoadError, load
from jobfleet.handlers.errors import HandlerOptionError
from jobfleet.handlers.limits import Limits

from .conftest import Load, Write

OWN = """
    from jobfleet import handler

    @handler("own", time_limit="30s", hard_time_limit="40s")
    def own(job): ...

    @handler("inherits")
    def inherits(job): ...

    @handler("none", time_limit=0, hard_time_limit=0)
    def none(job): ...
"""


def test_limits_of_the_handler_win_over_those_of_the_pool(write: Write) -> None:
    write("handlers.py", OWN)
    loaded = load(["handlers.py"], limits=Limits(soft_ms=1000, hard_ms=2000))
    limits = {spec.type: (spec.time_limit_ms, spec.hard_time_limit_ms) for spec in loaded.handlers}
    assert limits == {"own": (30_000, 40_000), "inherits": (1000, 2000), "none": (None, None)}


def test_there_are_no_limits_by_default(loaded: Load) -> None:
    (spec,) = loaded("from jobfleet import handler\n@handler('a')\ndef work(job): ...\n").handlers
    assert (spec.time_limit_ms, spec.hard_time_limit_ms) == (None, None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"time_limit": "40s", "hard_time_limit": "30s"},
            "hard_time_limit (30 s) must be longer than time_limit (40 s)",
        ),
        ({"time_limit": 5, "hard_time_limit": 5}, "must be longer"),
        ({"time_limit": "soon"}, "time_limit is 'soon'"),
        ({"hard_time_limit": -1}, "hard_time_limit is -1"),
        ({"time_limit": "1ms"}, "give at least 10 ms, or 0 for no limit"),
    ],
)
def test_limits_that_cannot_work_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(HandlerOptionError) as refused:
        handler("a", **options)  # type: ignore[arg-type]
    assert said in str(refused.value)


def test_limit_that_contradicts_the_pools_is_refused_with_its_place(write: Write) -> None:
    write("handlers.py", "from jobfleet import handler\n@handler('a', time_limit='1h')\ndef work(job): ...\n")
    with pytest.raises(LoadError) as refused:
        load(["handlers.py"], limits=Limits(hard_ms=60_000))
    assert "handlers.py:2" in str(refused.value)
    assert "hard_time_limit (60 s) must be longer than time_limit (3600 s)" in str(refused.value)
