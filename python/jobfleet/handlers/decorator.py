"""`@handler`: declares a function as the handler of a job type."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar, get_args

from jobfleet.handlers.backoff import DEFAULT_BACKOFF, Backoff, BackoffOption
from jobfleet.handlers.duration import Duration, to_ms
from jobfleet.handlers.errors import HandlerOptionError
from jobfleet.handlers.job import Job
from jobfleet.handlers.limits import limits_of
from jobfleet.handlers.registry import REGISTRY, Options, Registration, Source
from jobfleet.handlers.spec import Strategy, TenantFilter

Handler = TypeVar("Handler", bound=Callable[[Job[Any]], Any])

SHORTEST_LEASE_MS = 100
"""Renewal happens at half the lease; below this the request itself would take that long."""
MOST_SLOTS = 10_000
SHORTEST_HOLD_MS = 50
"""Below it an idle type would keep the engine busy with polls."""
_NAMES = (
    "slots",
    "lease",
    "renew",
    "fetch",
    "tenants",
    "tenant_filter",
    "hold",
    "max_jobs",
    "strategy",
    "backoff",
    "retry_bad_data",
    "time_limit",
    "hard_time_limit",
)


def handler(
    type: str,
    *,
    slots: int | None = None,
    lease: Duration | None = None,
    renew: bool = True,
    fetch: Sequence[str] | None = None,
    tenants: Sequence[str] | None = None,
    tenant_filter: TenantFilter | None = None,
    hold: Duration | None = None,
    max_jobs: int | None = None,
    strategy: Strategy | None = None,
    backoff: BackoffOption = DEFAULT_BACKOFF,
    retry_bad_data: bool = False,
    time_limit: Duration | None = None,
    hard_time_limit: Duration | None = None,
    **unknown: NoReturn,
) -> Callable[[Handler], Handler]:
    """Declare the decorated function as the handler of job type `type`. The function itself stays as it is.

    `slots`: how many jobs of this type run at once in one process; 1 for `def`, 64 for `async def`.
    `lease`: for how long the engine reserves an activated job, by default the fleet's 60 s; it is renewed at half
    while the handler runs.
    `renew`: False lets the lease end although the handler runs, and the engine gives the job out again; what the
    handler then returns is sent once, and its failure is not.
    `fetch`: names of the variables to fetch, or `"all"`; by default those that the declared type names.
    `tenants`: the tenants whose jobs it gets, such as `["<default>", "red"]`; by default the fleet's.
    `tenant_filter`: `"assigned"` gets the jobs of every tenant that the engine's credentials belong to.
    `hold`: how long the engine may hold a poll of this type while it has no job; by default the fleet's.
    `max_jobs`: the most jobs of this type that the fleet holds at once, over all its processes.
    `strategy`: `"main"`, `"threads"` or `"loop"`; by default `async def` runs on the loop, `def` in the main thread,
    with more than one slot in that many threads.
    `backoff`: the pause after a failure, one for all or one per exception class.
    `retry_bad_data`: variables that do not fit the declared type, and results that cannot be encoded, fail the job
    with no retries left, since neither heals by trying again; True makes them cost one retry like any failure.

    `time_limit`: after this run time `TimeLimitExceeded` is raised in a sync handler as soon as it runs Python code,
    and an async one is cancelled; the job fails with the limit in its message.
    `hard_time_limit`: after this run time the worker process writes its stacks and is killed; the job fails, other
    jobs of the process are handed back. Both default to the pool's; 0 is no limit.

    Raises HandlerOptionError for an option that cannot work.
    """
    if unknown:
        raise HandlerOptionError(_unknown_option(next(iter(unknown))))
    options = Options(
        type=_type(type),
        slots=_count("slots", slots),
        lease_ms=None if lease is None else _span_ms("lease", lease, SHORTEST_LEASE_MS),
        renew=_flag("renew", renew),
        fetch=_fetch(fetch),
        fetch_all=fetch == "all",
        tenants=_tenants(tenants),
        tenant_filter=_tenant_filter(tenant_filter),
        hold_ms=None if hold is None else _span_ms("hold", hold, SHORTEST_HOLD_MS),
        max_jobs=_count("max_jobs", max_jobs),
        strategy=_strategy(strategy),
        backoff=_backoff(backoff),
        retry_bad_data=_flag("retry_bad_data", retry_bad_data),
        limits=limits_of(time_limit, hard_time_limit),
    )

    def register(function: Handler) -> Handler:
        if not callable(function):
            raise HandlerOptionError(f"@handler({type!r}) decorates {function!r}, which cannot be called")
        REGISTRY.handlers.append(Registration(function, options, Source.of(function)))
        return function

    return register


def _unknown_option(name: str) -> str:
    near = difflib.get_close_matches(name, _NAMES, n=1)
    advice = f"did you mean {near[0]!r}?" if near else f"the options are {', '.join(_NAMES)}"
    return f"@handler has no option {name!r}; {advice}"


def _type(value: object) -> str:
    if callable(value):
        raise HandlerOptionError('@handler lacks the job type; write @handler("the-type")')
    if not isinstance(value, str) or not value.strip():
        raise HandlerOptionError(f"the job type is {value!r}; give a non-empty text")
    return value


def _count(name: str, value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_SLOTS:
        raise HandlerOptionError(f"{name} is {value!r}; give a whole number from 1 to {MOST_SLOTS}")
    return value


def _span_ms(name: str, value: Duration, shortest_ms: int) -> int:
    try:
        span_ms = to_ms(value, name)
    except ValueError as wrong:
        raise HandlerOptionError(str(wrong)) from None
    if span_ms < shortest_ms:
        raise HandlerOptionError(f"{name} is {value!r}; give at least {shortest_ms} ms")
    return span_ms


def _fetch(value: object) -> tuple[str, ...] | None:
    if value is None or value == "all":
        return None
    names = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        raise HandlerOptionError(f'fetch is {value!r}; give a list of variable names, or "all"')
    return names


def _tenants(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        raise HandlerOptionError(f"tenants is {value!r}; give a list of tenant ids")
    return names


def _tenant_filter(value: TenantFilter | None) -> TenantFilter | None:
    if value is not None and value not in get_args(TenantFilter):
        raise HandlerOptionError(f'tenant_filter is {value!r}; give "provided" or "assigned"')
    return value


def _strategy(value: Strategy | None) -> Strategy | None:
    if value is not None and value not in get_args(Strategy):
        raise HandlerOptionError(f'strategy is {value!r}; give "main", "threads" or "loop"')
    return value


def _backoff(value: object) -> BackoffOption:
    if isinstance(value, Backoff):
        return value
    if isinstance(value, Mapping) and all(
        isinstance(error, type) and issubclass(error, BaseException) and isinstance(pause, Backoff)
        for error, pause in value.items()
    ):
        return dict(value)
    raise HandlerOptionError(f"backoff is {value!r}; give a Backoff, or a dict from exception classes to Backoff")


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise HandlerOptionError(f"{name} is {value!r}; give True or False")
    return value
