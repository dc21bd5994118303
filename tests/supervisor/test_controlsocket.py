"""The control socket: whose it is, and how it is taken over."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobfleet.supervisor.controlsocket import ControlSocket, SocketInUse, SocketUnusable, default_path, peer


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="jf-") as name:
        yield Path(name)


def test_socket_is_for_this_user_only(folder: Path) -> None:
    control = ControlSocket(folder / "s")
    assert stat.S_IMODE(control.path.stat().st_mode) == 0o600
    control.close()
    assert not control.path.exists()


def test_connected_peer_is_known(folder: Path) -> None:
    control = ControlSocket(folder / "s")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(control.path))
        control.listener.setblocking(True)
        connection, _ = control.listener.accept()
        with connection:
            assert peer(connection) == (os.getpid(), os.getuid())
    control.close()


def test_living_fleet_keeps_its_socket_and_is_named(folder: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from jobfleet.supervisor.controlsocket import ControlSocket\n"
        "control = ControlSocket(pathlib.Path(sys.argv[1]))\n"
        "print('listening', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(folder / "s")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"listening\n"
        with pytest.raises(SocketInUse, match=f"process {holder.pid} has"):
            ControlSocket(folder / "s")
        holder.kill()
        holder.wait()
        assert (folder / "s").exists()
        ControlSocket(folder / "s").close()


def test_fleet_that_is_about_to_listen_has_the_socket_already(folder: Path) -> None:
    with open(folder / "s.lock", "w") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SocketInUse, match="process 4711 has"):
            ControlSocket(folder / "s")
    ControlSocket(folder / "s").close()


def test_socket_that_somebody_listens_on_without_the_lock_is_not_stolen(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(folder / "s"))
        other.listen()
        with pytest.raises(SocketInUse, match=f"process {os.getpid()}"):
            ControlSocket(folder / "s")
        assert (folder / "s").exists()


def test_failed_attempt_leaves_the_lock_free(folder: Path) -> None:
    (folder / "s").write_text("precious")
    with pytest.raises(SocketUnusable, match="is no socket"):
        ControlSocket(folder / "s")
    assert (folder / "s").read_text() == "precious"
    (folder / "s").unlink()
    ControlSocket(folder / "s").close()


def test_path_that_is_too_long_is_refused_with_a_remedy(folder: Path) -> None:
    with pytest.raises(SocketUnusable, match="choose another --socket"):
        ControlSocket(folder / ("x" * 120))


def test_folder_that_is_absent_is_named(folder: Path) -> None:
    with pytest.raises(SocketUnusable, match="there is no folder"):
        ControlSocket(folder / "absent" / "s")


def test_default_folder_is_made_for_this_user_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    path = default_path("orders")
    assert path == folder / "jobfleet" / "orders.sock"
    control = ControlSocket(path)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    control.close()


def test_default_without_a_runtime_folder_is_in_tmp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert default_path("orders") == Path(f"/tmp/jobfleet-{os.getuid()}/orders.sock")


def test_default_folder_of_somebody_else_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    (folder / "elsewhere").mkdir()
    (folder / "jobfleet").symlink_to(folder / "elsewhere")
    with pytest.raises(SocketUnusable, match="is not a folder of this user"):
        ControlSocket(default_path("orders"))
