"""Binds a handler's signature to job data: the type of its variables, what to fetch, where it runs."""

import inspect
import os
import typing
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeVar

from jobfleet.handlers.backoff import BackoffOption
from jobfleet.handlers.decode import Decode, decoder_of
from jobfleet.handlers.errors import LoadError
from jobfleet.handlers.fields import UnsuitableType, names_of
from jobfleet.handlers.job import Job
from jobfleet.handlers.registry import Registration, innermost
from jobfleet.handlers.spec import Strategy

ASYNC_SLOTS = 64
"""Jobs of one async handler that run at once in a process, unless its author says otherwise."""


@dataclass(frozen=True)
class Binding:
    """A handler ready to be called."""

    function: Callable[[Job[Any]], Any]
    declared: Any
    """The type of the variables."""
    decode: Decode
    fetch: list[str] | None
    strategy: Strategy
    slots: int
    backoff: BackoffOption
    retry_bad_data: bool


def bind(registration: Registration) -> Binding:
    """Bind one handler. Raises LoadError with the handler's file and line."""
    options = registration.options
    try:
        declared = _declared_type(registration.function)
        fetch = _fetch(registration, declared)
        strategy = _strategy(registration)
        return Binding(
            function=registration.function,
            declared=declared,
            decode=decoder_of(declared),
            fetch=fetch,
            strategy=strategy,
            slots=options.slots or (ASYNC_SLOTS if strategy == "loop" else 1),
            backoff=options.backoff,
            retry_bad_data=options.retry_bad_data,
        )
    except (UnsuitableType, TypeError, ValueError, NameError) as wrong:
        source = registration.source
        shown = os.path.relpath(source.file) if source.file.startswith(os.getcwd() + os.sep) else source.file
        message = f"{shown}:{source.line}: handler {source.name} of {options.type!r}: {wrong}"
        raise LoadError(message, path=source.file, line=source.line) from wrong


def _declared_type(function: Callable[..., Any]) -> Any:
    """`T` of the first parameter's `Job[T]`."""
    parameters = list(inspect.signature(function).parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not parameters or parameters[0].kind not in positional:
        raise ValueError("it takes no job; give it one parameter: job: Job[...]")
    for more in parameters[1:]:
        if more.default is inspect.Parameter.empty and more.kind not in (more.VAR_POSITIONAL, more.VAR_KEYWORD):
            raise ValueError(f"it is called with the job alone, but its parameter {more.name!r} has no default")
    annotation = _resolved(function, parameters[0])
    if annotation in (inspect.Parameter.empty, Any, Job):
        return dict[str, Any]
    if typing.get_origin(annotation) is not Job:
        raise ValueError(f"its parameter is declared as {annotation!r}; declare it as Job or Job[YourType]")
    (declared,) = typing.get_args(annotation)
    if isinstance(declared, TypeVar):
        raise ValueError(f"its parameter is declared as {annotation!r}; give a type instead of {declared}")
    return dict[str, Any] if declared in (Any, dict) else declared


def _resolved(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The annotation of `parameter`; texts are looked up where the function was defined."""
    scope = getattr(innermost(function), "__globals__", {})
    holder = SimpleNamespace(__annotations__={"job": parameter.annotation})
    try:
        return typing.get_type_hints(holder, scope, include_extras=True)["job"]
    except NameError as unknown:
        raise ValueError(
            f"the annotation {parameter.annotation!r} cannot be resolved ({unknown}); "
            "define or import the type at the top of the module, outside of `if TYPE_CHECKING:`"
        ) from None


def _fetch(registration: Registration, declared: Any) -> list[str] | None:
    names = names_of(declared)
    options = registration.options
    if options.fetch_all:
        return None
    if options.fetch is None:
        return None if names is None else list(names.all)
    missing = [name for name in (names.required if names is not None else ()) if name not in options.fetch]
    if missing:
        raise ValueError(f"fetch leaves out {missing[0]!r}, which its declared type requires; add it to fetch")
    return list(options.fetch)


def _strategy(registration: Registration) -> Strategy:
    function, options = registration.function, registration.options
    inner = innermost(function)
    if any(map(inspect.isgeneratorfunction, (function, inner))) or inspect.isasyncgenfunction(inner):
        raise ValueError("it is a generator; a handler returns its result, it does not yield")
    if any(map(inspect.iscoroutinefunction, (function, inner))):
        if options.strategy not in (None, "loop"):
            raise ValueError(f"it is an async def, which cannot run with strategy {options.strategy!r}; use 'loop'")
        return "loop"
    slots = options.slots or 1
    if options.strategy == "main" and slots > 1:
        raise ValueError(f"strategy 'main' runs one job at a time, but slots is {slots}; use strategy 'threads'")
    return options.strategy or ("threads" if slots > 1 else "main")
