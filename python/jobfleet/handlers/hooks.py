"""`@on_start` and `@on_stop`: run once per worker process, before its first and after its last job."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from jobfleet.handlers.errors import HandlerOptionError
from jobfleet.handlers.registry import REGISTRY, Hook, Source

HookFunction = TypeVar("HookFunction", bound=Callable[..., Any])


def on_start(function: HookFunction) -> HookFunction:
    """Run `function` when a worker process starts; it takes jobs only after that.

    `function` is `def` or `async def` and has no parameter or one: the worker's state, whose attributes handlers read
    as `job.state.NAME`. An `async def` runs on the loop that runs the async handlers. Hooks run one after the other, in
    the order of their definition. One that raises ends the worker with its message.
    """
    REGISTRY.on_start.append(_hook("on_start", function))
    return function


def on_stop(function: HookFunction) -> HookFunction:
    """Run `function` after the worker's last job. Like `on_start`, in the opposite order; one that raises is logged."""
    REGISTRY.on_stop.append(_hook("on_stop", function))
    return function


def _hook(kind: str, function: Callable[..., Any]) -> Hook:
    if not callable(function):
        raise HandlerOptionError(f"@{kind} takes no options; write @{kind} above a function")
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = list(inspect.signature(function).parameters.values())
    takes_state = bool(parameters) and parameters[0].kind in positional
    for parameter in parameters[1:] if takes_state else parameters:
        variadic = parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        if parameter.default is inspect.Parameter.empty and not variadic:
            raise HandlerOptionError(f"@{kind} function {function.__qualname__} has more than one parameter: the state")
    return Hook(function, takes_state, Source.of(function))
