"""The Unix socket of the control API: where it is, who may have it, and how a dead fleet's is taken over."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import struct
from pathlib import Path
from typing import Final

# `struct sockaddr_un` has room for this many bytes of path.
_PATH_BYTES: Final = 107
_UCRED: Final = struct.Struct("3i")


class SocketUnusable(Exception):
    """The socket cannot be had; the text says why and what to do."""


class SocketInUse(SocketUnusable):
    """A living fleet listens there."""


def default_path(name: str) -> Path:
    """`$XDG_RUNTIME_DIR/jobfleet/NAME.sock`, or `/tmp/jobfleet-UID/NAME.sock` without that directory."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    folder = Path(runtime) / "jobfleet" if os.path.isdir(runtime) else Path(f"/tmp/jobfleet-{os.getuid()}")  # noqa: S108
    return folder / f"{name}.sock"


def peer(connection: socket.socket) -> tuple[int, int]:
    """Process and user id of the other end."""
    pid, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return pid, uid


class ControlSocket:
    """A listening socket of mode 0600, and the lock that makes it ours alone."""

    def __init__(self, path: Path) -> None:
        """Listen at `path`. Raises `SocketInUse` or `SocketUnusable`."""
        self.path = path
        if len(os.fsencode(path)) > _PATH_BYTES:
            raise SocketUnusable(
                f"the socket's path is longer than {_PATH_BYTES} bytes: {path}; choose another --socket"
            )
        try:
            _make_folder(path.parent)
            self._lock = _lock(path)
        except OSError as error:
            raise SocketUnusable(f"no control socket at {path}: {error}; choose another --socket") from error
        try:
            self.listener = _listen(path)
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Stop to listen, remove the socket, give up the lock."""
        self.listener.close()
        # The lock's file stays: removing it would let two others hold locks on two files of this name.
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        os.close(self._lock)


def _make_folder(folder: Path) -> None:
    if folder.name == f"jobfleet-{os.getuid()}" or folder.name == "jobfleet":
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise SocketUnusable(f"{folder} is not a folder of this user; choose another --socket")
    elif not folder.is_dir():
        raise SocketUnusable(f"there is no folder {folder} for the control socket; make it, or choose another --socket")


def _lock(path: Path) -> int:
    """Hold `PATH.lock`, which names our pid to whoever finds it held."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise _in_use(path, holder) from None
    except BaseException:
        os.close(lock)
        raise
    return lock


def _listen(path: Path) -> socket.socket:
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        # Before listen(), so that nobody connects under the wider mode.
        os.chmod(path, 0o600)
        listener.listen(64)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise SocketUnusable(f"no control socket at {path}: {error}; choose another --socket") from error
    return listener


def _remove_stale(path: Path) -> None:
    """Remove a dead fleet's socket. Whatever else is there stays."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise SocketUnusable(f"{path} exists and is no socket; choose another --socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        with contextlib.suppress(ConnectionRefusedError, FileNotFoundError):
            probe.connect(str(path))
            raise _in_use(path, str(peer(probe)[0]))
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def _in_use(path: Path, holder: str) -> SocketInUse:
    return SocketInUse(
        f"a fleet is already running here: process {holder} has {path}; stop it, or choose another --name"
    )
