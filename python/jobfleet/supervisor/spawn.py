"""Starts the program of a zygote. Imports little: the seed is started first, beside everything else."""

import os
import socket
import sys

from jobfleet.supervisor.environment import worker_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ZYGOTE_MODULE = "jobfleet.worker.zygote"


class Spawned:
    """A zygote process: our end of its control socket, and the reading end of its output.

    Without a `pid` it is about to be forked, and tells that itself; `give_up` then ends who should fork it.
    """

    def __init__(
        self, pid: int | None, control: socket.socket, output_fd: int, give_up: "Callable[[], None] | None" = None
    ) -> None:
        self.pid = pid
        self.give_up = give_up
        self.control = control
        self.output_fd = output_fd

    def close(self) -> None:
        """Close both descriptors; the zygote then ends by itself."""
        self.control.close()
        os.close(self.output_fd)


def open_channels() -> tuple[socket.socket, socket.socket, int, int]:
    """Both ends of a control socket, and both of a pipe for output. Raises `OSError`."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        return ours, theirs, *os.pipe()
    except OSError:
        ours.close()
        theirs.close()
        raise


def spawn_zygote(environ: "Mapping[str, str]", pass_credentials: bool = False, module: str = ZYGOTE_MODULE) -> Spawned:
    """Start a zygote in a process group of its own. Call it on the main thread: the zygote dies with its spawner.

    Raises `OSError` when there is no descriptor or process to be had.
    """
    ours, theirs, output_fd, output_end = open_channels()
    try:
        theirs.set_inheritable(True)
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", module, "--control-fd", str(theirs.fileno())],
            worker_environment(environ, pass_credentials),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output_end, 1),
                (os.POSIX_SPAWN_DUP2, output_end, 2),
            ],
            setpgroup=0,
        )
    except OSError:
        ours.close()
        os.close(output_fd)
        raise
    finally:
        theirs.close()
        os.close(output_end)
    return Spawned(pid, ours, output_fd)
