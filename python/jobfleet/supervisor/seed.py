"""The seed: a zygote that never loads handlers, and from which the zygotes of all pools and generations are forked.

Imports little: `run` starts it first, so that it starts beside everything else.
"""

import os
import socket
import sys

from jobfleet.supervisor.spawn import Spawned, open_channels, spawn_zygote

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from jobfleet.supervisor.log import Log
    from jobfleet.supervisor.output import Output
    from jobfleet.supervisor.reaper import Child, Exit, Reaper

_ORDER = b'{"op":"fork_zygote"}'
_INSTALLED = ("site-packages", "dist-packages")


class Seed:
    """Starts at once. One that has died is replaced when the next zygote is wanted."""

    def __init__(self, environ: "Mapping[str, str]", pass_credentials: bool = False) -> None:
        """Call it on the main thread: a seed dies with its spawner. Raises `OSError`."""
        self._environ = environ
        self._pass_credentials = pass_credentials
        self._around: tuple[asyncio.AbstractEventLoop, Log, Reaper] | None = None
        self._output: Output | None = None
        self._child: Child | None = None
        self._start()

    @property
    def pid(self) -> int | None:
        """The process id of the present one."""
        return self._pid

    def spawn(self) -> Spawned:
        """Have a zygote forked; it tells its process id itself. Workers and zygotes must be adopted by this process.

        Raises `OSError` when there is no descriptor or process to be had.
        """
        if self._installed != _installed():
            # Handlers are to find what was installed since; what the seed has imported may be out of date.
            self._replace()
        ours, theirs, output_fd, output_end = open_channels()
        try:
            try:
                self._order(theirs, output_end)
            except OSError:
                # It is dead, or it does not listen.
                self.kill()
                self._replace()
                self._order(theirs, output_end)
        except OSError:
            ours.close()
            os.close(output_fd)
            raise
        finally:
            theirs.close()
            os.close(output_end)
        return Spawned(None, ours, output_fd, give_up=self.kill)

    def attach(self, loop: "asyncio.AbstractEventLoop", log: "Log", reaper: "Reaper") -> None:
        """Watch it, and read what it writes, from now on."""
        self._around = (loop, log, reaper)
        self._watch()

    def kill(self) -> None:
        """Kill it. Zygotes that were forked from it live on."""
        if self._child is not None:
            self._child.kill()

    def close(self) -> None:
        """Let it leave."""
        self._control.close()
        if self._output is not None:
            self._output.finish()
        elif self._around is None:
            os.close(self._output_fd)

    def _start(self) -> None:
        # Before its imports, so that a change meanwhile is seen.
        self._installed = _installed()
        spawned = spawn_zygote(self._environ, self._pass_credentials)
        spawned.control.setblocking(False)
        self._pid, self._control, self._output_fd = spawned.pid, spawned.control, spawned.output_fd

    def _replace(self) -> None:
        """What was asked of the one before is still done, unless it is killed."""
        self.close()
        self._output = self._child = None
        self._start()
        self._watch()

    def _watch(self) -> None:
        if self._around is None:
            return
        from jobfleet.supervisor.output import Output  # noqa: PLC0415 - see above
        from jobfleet.supervisor.reaper import Child  # noqa: PLC0415

        loop, log, reaper = self._around
        output = self._output = Output(self._output_fd, log, loop)
        output.start("seed")

        def died(how: "Exit") -> None:
            output.finish()
            if self._output is output:
                log.warning(f"the process that zygotes are forked from {how}; the next zygote starts another one")

        if self._pid is not None:
            watched = reaper.watch(self._pid, died)
            self._child = watched if isinstance(watched, Child) else None

    def _order(self, control: socket.socket, output_end: int) -> None:
        socket.send_fds(self._control, [_ORDER], [control.fileno(), output_end])


def _installed() -> dict[str, int]:
    """When something was last added to or removed from each folder of installed packages."""
    found = {}
    for folder in sys.path:
        if folder.endswith(_INSTALLED):
            try:
                found[folder] = os.stat(folder).st_mtime_ns
            except OSError:
                continue
    return found
