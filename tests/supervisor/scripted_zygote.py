"""A zygote that misbehaves as `ZYGOTE_SCRIPT` says; run as a module in place of the real one.

Its workers are forked as the real ones are, and wait for the end of their link.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time

HANDLER = {
    "type": "noop",
    "name": "handlers:noop",
    "file": "/handlers.py",
    "line": 1,
    "strategy": "main",
    "lane": 0,
    "slots": 1,
    "lease_ms": 1000,
}


def main() -> None:
    """Serve one pool."""
    control = socket.socket(fileno=int(sys.argv[sys.argv.index("--control-fd") + 1]))
    script = os.environ["ZYGOTE_SCRIPT"].split(",")
    forks = 0
    while True:
        message, fds, _, _ = socket.recv_fds(control, 1 << 16, 16)
        if not message:
            os._exit(0)
        order = json.loads(message)
        if order["op"] == "load":
            reply = load(script)
        else:
            forks += 1
            if "dies-after-fork" in script:
                wait_for_permission()
            reply = fork(script, order, fds, control, forks)
        for fd in fds:
            os.close(fd)
        control.send(reply)
        if "dies-after-fork" in script and forks == 2:
            os.kill(os.getpid(), signal.SIGKILL)


def wait_for_permission() -> None:
    """Until the test, which wants to be the first to see what follows, lets it go on."""
    while not os.path.exists(os.environ["MENDED"]):
        time.sleep(0.001)


def load(script: list[str]) -> bytes:
    """The answer to `load`."""
    if "rubbish" in script:
        return b"no json"
    if "crash-at-load" in script:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "load-failed" in script and not os.path.exists(os.environ["MENDED"]):
        return json.dumps({"op": "load_failed", "error": "handlers.py:1: no", "detail": "Traceback"}).encode()
    lease_ms = os.getpid() if "changes" in script else HANDLER["lease_ms"]
    handler = HANDLER | {"lease_ms": lease_ms}
    return json.dumps({"op": "loaded", "handlers": [handler], "lanes": [["main", 1]], "notes": ["a note"]}).encode()


def fork(script: list[str], order: dict[str, int], fds: list[int], control: socket.socket, count: int) -> bytes:
    """The answer to `fork`."""
    if "fork-fails-once" in script and count == 1:
        return json.dumps({"op": "fork_failed", "worker": order["worker"], "error": "no memory"}).encode()
    if "stops-at-second-fork" in script and count == 2 and not os.path.exists(os.environ["MENDED"]):
        os.kill(os.getpid(), signal.SIGSTOP)
    if "dies-at-second-fork" in script and count == 2 and not os.path.exists(os.environ["MENDED"]):
        os.kill(os.getpid(), signal.SIGKILL)
    pipe, end = os.pipe()
    middle = os.fork()
    if middle == 0:
        pid = os.fork()
        if pid == 0:
            os.close(control.fileno())
            work(script, fds)
        os.setpgid(pid, pid)
        os.write(end, str(pid).encode())
        os._exit(0)
    os.waitpid(middle, 0)
    pid = int(os.read(pipe, 32))
    os.close(pipe)
    os.close(end)
    return json.dumps({"op": "forked", "worker": order["worker"], "pid": pid}).encode()


def work(script: list[str], fds: list[int]) -> None:
    """A worker: does nothing until its link ends."""
    link, _, output = fds
    if "workers-exit" in script:
        os._exit(7)
    os.write(output, b"born\n")
    os.read(link, 1)
    os._exit(0)


if __name__ == "__main__":
    main()
