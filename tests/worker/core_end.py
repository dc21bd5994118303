"""The core's end of one link, in Python: enough to give jobs to a worker and read what it answers."""

import fcntl
import json
import mmap
import os
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

DEADLINE_S = 20.0
"""Guards against hanging; nothing here takes that long."""

_HEAD = struct.Struct("<IB")
_JOB = struct.Struct("<HHQ")
_OUTCOME = struct.Struct("<HHQQ")
_MAGIC = int.from_bytes(b"jobfleet", "little")
_LINE_BYTES = 64


@dataclass(frozen=True)
class Outcome:
    """What became of one job."""

    lane: int
    slot: int
    number: int
    kind: str
    variables: Any = None
    result: Any = None
    business_id: str | None = None
    message: str | None = None
    retries: int | None = None
    backoff_ms: int | None = None
    code: str | None = None


@dataclass(frozen=True)
class Log:
    """One log record."""

    level: int
    lane: int
    number: int
    record: dict[str, Any]


class CoreEnd:
    """Numbers jobs, sends them, and collects outcomes and records."""

    def __init__(self, lanes: list[tuple[str, int]]) -> None:
        self._socket, worker = socket.socketpair()
        self.link_fd = worker.detach()
        self.recorder_fd = _recorder(lanes)
        self._numbers = [0] * len(lanes)
        self._unread = bytearray()
        self.ready = False
        self.start_failed: str | None = None
        self.outcomes: dict[tuple[int, int], Outcome] = {}
        self.logs: list[Log] = []
        self.closed = False

    def give(self, type_index: int = 0, lane: int = 0, raw: bytes | None = None, **members: Any) -> tuple[int, int]:
        """Send one job and return `(lane, number)`. `members` replace those of a usual job."""
        self._numbers[lane] += 1
        number = self._numbers[lane]
        body = json.dumps(usual_job() | members).encode() if raw is None else raw
        self._send(1, _JOB.pack(lane, type_index, number) + body)
        return lane, number

    def cancel(self, job: tuple[int, int], reason: str) -> None:
        """Say that the outcome of `job` is no longer wanted."""
        self._send(3, struct.pack("<HQ", *job) + reason.encode())

    def limit(self, job: tuple[int, int], limit_ms: int) -> None:
        """Say that the time of the handler of `job` is over."""
        self._send(4, struct.pack("<HQQ", *job, limit_ms))

    def drain(self) -> None:
        """Say that nothing more comes."""
        self._send(2, b"")

    def hang_up(self) -> None:
        """Close the link, as a core that is gone."""
        self._socket.close()

    def outcome(self, job: tuple[int, int]) -> Outcome:
        """Wait for the outcome of `job`."""
        self.wait(lambda: job in self.outcomes)
        return self.outcomes[job]

    def printed(self, text: str) -> Log:
        """Wait for the record whose message is `text`."""
        self.wait(lambda: any(log.record["message"] == text for log in self.logs))
        return next(log for log in self.logs if log.record["message"] == text)

    def wait(self, until: Callable[[], bool]) -> None:
        """Read frames until the condition holds."""
        deadline = time.monotonic() + DEADLINE_S
        while not until():
            self._read(deadline)

    def wait_closed(self) -> None:
        """Read until the worker's last descriptor of the link is closed."""
        self.wait(lambda: self.closed)

    def _read(self, deadline: float) -> None:
        if self.closed:
            raise AssertionError(f"the link is closed; outcomes {self.outcomes}, start failed: {self.start_failed}")
        self._socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            data = self._socket.recv(1 << 20)
        except ConnectionError:
            data = b""
        self.closed = not data
        self._unread += data
        while len(self._unread) >= _HEAD.size:
            length, kind = _HEAD.unpack_from(self._unread)
            if len(self._unread) < 4 + length:
                return
            payload = bytes(self._unread[_HEAD.size : 4 + length])
            del self._unread[: 4 + length]
            self._take(kind, payload)

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == 16:
            self.ready = True
        elif kind == 17:
            self.start_failed = payload.decode()
        elif kind == 18:
            outcome = _outcome(payload)
            assert (outcome.lane, outcome.number) not in self.outcomes, "settled twice"
            self.outcomes[outcome.lane, outcome.number] = outcome
        elif kind == 19:
            level, lane, number = struct.unpack_from("<BHQ", payload)
            self.logs.append(Log(level, lane, number, json.loads(payload[11:])))
        else:
            assert kind == 20, f"unknown frame {kind}"

    def _send(self, kind: int, payload: bytes) -> None:
        self._socket.settimeout(DEADLINE_S)
        self._socket.sendall(_HEAD.pack(len(payload) + 1, kind) + payload)


def usual_job() -> dict[str, Any]:
    """A job as Camunda 8.6 sends it."""
    return {
        "key": 2251799813685259,
        "type": "work",
        "processInstanceKey": 2251799813685252,
        "processDefinitionId": "one",
        "processDefinitionVersion": 1,
        "processDefinitionKey": 2251799813685251,
        "elementId": "work",
        "elementInstanceKey": 2251799813685258,
        "customHeaders": {"h1": "v1"},
        "worker": "w1",
        "retries": 3,
        "deadline": 1795253033813,
        "variables": {"x": 1},
        "tenantId": "<default>",
    }


def _recorder(lanes: list[tuple[str, int]]) -> int:
    """A flight recorder's sealed file."""
    slots = sum(count for _, count in lanes)
    size = (2 + len(lanes) + slots) * _LINE_BYTES
    descriptor = os.memfd_create("recorder", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    with mmap.mmap(descriptor, size) as memory:
        memory[:32] = struct.pack("<4Q", _MAGIC, 1, len(lanes), slots)
        for lane in range(len(lanes)):
            place = (2 + lane) * _LINE_BYTES
            memory[place : place + 8] = struct.pack("<Q", 1)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return descriptor


class _Members:
    """Reads the members of an outcome in order."""

    def __init__(self, payload: bytes) -> None:
        self._rest = payload

    def number(self, shape: str) -> int:
        size = struct.calcsize(shape)
        (value,) = struct.unpack_from(shape, self._rest)
        self._rest = self._rest[size:]
        return int(value)

    def blob(self) -> bytes:
        length = self.number("<I")
        value, self._rest = self._rest[:length], self._rest[length:]
        return value

    def text(self) -> str:
        return self.blob().decode()

    def json(self) -> Any:
        return json.loads(self.blob())

    def optional(self, read: Callable[[], Any]) -> Any:
        return read() if self.number("<B") else None


def _outcome(payload: bytes) -> Outcome:
    lane, slot, number, _ = _OUTCOME.unpack_from(payload)
    members = _Members(payload[_OUTCOME.size :])
    kind = ("complete", "fail", "error", "hand_back")[members.number("<B")]
    found: dict[str, Any] = {}
    if kind == "complete":
        found = {
            "variables": members.optional(members.json),
            "result": members.optional(members.json),
            "business_id": members.optional(members.text),
        }
    elif kind == "fail":
        found = {
            "message": members.text(),
            "retries": members.optional(lambda: members.number("<i")),
            "backoff_ms": members.optional(lambda: members.number("<Q")),
            "variables": members.optional(members.json),
        }
    elif kind == "error":
        found = {
            "code": members.text(),
            "message": members.optional(members.text),
            "variables": members.optional(members.json),
        }
    else:
        found = {"message": members.text(), "backoff_ms": members.number("<Q")}
    return Outcome(lane, slot, number, kind, **found)
