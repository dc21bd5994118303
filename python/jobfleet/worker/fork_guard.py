"""A handler that forks: its child keeps nothing of the worker, and ends where the handler ends."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from jobfleet.worker.output import detach_output, finish_output

if TYPE_CHECKING:
    from jobfleet._core import Link


class ForkGuard:
    """Knows which process is the worker. The child of a handler has no way to settle or take jobs."""

    def __init__(self, link: "Link") -> None:
        self._pid = os.getpid()
        self._link = link
        self._forgotten: list[Callable[[], None]] = []
        os.register_at_fork(after_in_child=self._forked)

    def on_fork(self, forget: Callable[[], None]) -> None:
        """Call `forget` in each child that a handler forks."""
        self._forgotten.append(forget)

    @property
    def in_child(self) -> bool:
        """Whether this process was forked by a handler."""
        return os.getpid() != self._pid

    def leave(self, error: BaseException | None = None) -> NoReturn:
        """End the child: it left the handler, and what comes next is the worker's business."""
        finish_output()
        status = 0 if error is None else 1
        if isinstance(error, SystemExit):
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        os._exit(status & 0xFF)

    def _forked(self) -> None:
        self._link.close_after_fork()
        detach_output()
        for forget in self._forgotten:
            forget()
