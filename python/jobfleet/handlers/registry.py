"""What decorators leave behind while handler modules are imported."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import CodeType
from typing import Any

from jobfleet.handlers.backoff import DEFAULT_BACKOFF, BackoffOption
from jobfleet.handlers.limits import NO_LIMITS, Limits
from jobfleet.handlers.spec import Strategy, TenantFilter


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of one `@handler`, checked one by one but not yet against the function."""

    type: str
    slots: int | None = None
    lease_ms: int | None = None
    renew: bool = True
    fetch: tuple[str, ...] | None = None
    """Variables to fetch; None derives them from the declared type."""
    fetch_all: bool = False
    tenants: tuple[str, ...] | None = None
    tenant_filter: TenantFilter | None = None
    hold_ms: int | None = None
    max_jobs: int | None = None
    strategy: Strategy | None = None
    backoff: BackoffOption = DEFAULT_BACKOFF
    retry_bad_data: bool = False
    limits: Limits = NO_LIMITS


@dataclass(frozen=True)
class Source:
    """Where a function stands."""

    module: str
    name: str
    file: str
    line: int

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "Source":
        """The place of `function`, seen through partials and `functools.wraps`."""
        inner = innermost(function)
        code = getattr(inner, "__code__", None)
        known = isinstance(code, CodeType)
        return cls(
            module=getattr(inner, "__module__", "") or "",
            name=getattr(inner, "__qualname__", type(inner).__qualname__),
            file=code.co_filename if known and code is not None else "<unknown>",
            line=code.co_firstlineno if known and code is not None else 0,
        )


@dataclass(frozen=True)
class Registration:
    """One handler function and its options."""

    function: Callable[..., Any]
    options: Options
    source: Source


@dataclass(frozen=True)
class Hook:
    """One `@on_start` or `@on_stop` function."""

    function: Callable[..., Any]
    takes_state: bool
    source: Source


@dataclass
class Registry:
    """Everything registered in this process, oldest first."""

    handlers: list[Registration] = field(default_factory=list)
    on_start: list[Hook] = field(default_factory=list)
    on_stop: list[Hook] = field(default_factory=list)


REGISTRY = Registry()


def innermost(function: Callable[..., Any]) -> Any:
    """The function inside partials, wrappers, bound methods and callable objects."""
    while True:
        if isinstance(function, partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif inspect.ismethod(function):
            function = function.__func__
        elif not inspect.isroutine(function) and not inspect.isclass(function) and hasattr(function, "__call__"):  # noqa: B004
            function = type(function).__call__
        else:
            return function
