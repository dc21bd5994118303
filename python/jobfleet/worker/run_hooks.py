"""Runs `@on_start` and `@on_stop` hooks."""

import inspect
import sys
import traceback
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any

from jobfleet.handlers.registry import Hook
from jobfleet.handlers.state import State
from jobfleet.worker.failure_text import failure_text

if TYPE_CHECKING:
    from jobfleet.worker.loop_host import LoopHost


class StartFailed(Exception):
    """An `@on_start` hook raised; `str()` names it and says why."""


def is_async(hook: Hook) -> bool:
    """Whether the hook needs a loop."""
    return inspect.iscoroutinefunction(hook.function)


def run_start(hooks: Sequence[Hook], state: State, host: "LoopHost | None") -> None:
    """Run the hooks in order. Raises StartFailed for the first one that raises."""
    for hook in hooks:
        try:
            _call(hook, state, host)
        except BaseException as error:
            place = f"{hook.source.file}:{hook.source.line}"
            raise StartFailed(f"@on_start {hook.source.name} ({place}) raised {failure_text(error)}") from error


def run_stop(hooks: Sequence[Hook], state: State, host: "LoopHost | None") -> None:
    """Run the hooks in the opposite order; one that raises is written to stderr and does not stop the others."""
    for hook in reversed(hooks):
        try:
            _call(hook, state, host)
        except BaseException:
            sys.stderr.write(f"jobfleet: @on_stop {hook.source.name} raised:\n{traceback.format_exc()}")


def _call(hook: Hook, state: State, host: "LoopHost | None") -> None:
    result: Any = hook.function(state) if hook.takes_state else hook.function()
    if host is not None and inspect.isawaitable(result):
        host.run(_wait(result))


async def _wait(awaitable: Awaitable[Any]) -> None:
    await awaitable
