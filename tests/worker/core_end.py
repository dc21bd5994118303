"""The core's end of one link, in Python: enough to give jobs to a worker and read what it answers."""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .raw_core import Frame, Lanes, RawCore, cancel, job, limit


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

    def __init__(self, lanes: Lanes) -> None:
        self._raw = RawCore(lanes)
        self.link_fd = self._raw.link_fd
        self.recorder_fd = self._raw.recorder_fd
        self._numbers = [0] * len(lanes)
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
        self._raw.socket.sendall(job(number, body, lane, type_index))
        return lane, number

    def cancel(self, job: tuple[int, int], reason: str) -> None:
        """Say that the outcome of `job` is no longer wanted."""
        self._raw.socket.sendall(cancel(job[1], reason, job[0]))

    def limit(self, job: tuple[int, int], limit_ms: int) -> None:
        """Say that the time of the handler of `job` is over."""
        self._raw.socket.sendall(limit(job[1], limit_ms, job[0]))

    def drain(self) -> None:
        """Say that nothing more comes."""
        self._raw.drain()

    def hang_up(self) -> None:
        """Close the link, as a core that is gone."""
        self._raw.close()

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
        while not until():
            if self.closed:
                raise AssertionError(f"the link is closed; outcomes {self.outcomes}, start failed: {self.start_failed}")
            try:
                self._take(self._raw.receive())
            except (EOFError, ConnectionError):
                self.closed = True

    def wait_closed(self) -> None:
        """Read until the worker's last descriptor of the link is closed."""
        self.wait(lambda: self.closed)

    def _take(self, frame: Frame) -> None:
        if frame.kind == "ready":
            self.ready = True
        elif frame.kind == "start_failed":
            self.start_failed = frame.payload.decode()
        elif frame.kind == "outcome":
            outcome = _outcome(frame)
            assert (outcome.lane, outcome.number) not in self.outcomes, "settled twice"
            self.outcomes[outcome.lane, outcome.number] = outcome
        elif frame.kind == "log":
            level, lane, number = struct.unpack_from("<BHQ", frame.payload)
            self.logs.append(Log(level, lane, number, json.loads(frame.payload[11:])))


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


def _outcome(frame: Frame) -> Outcome:
    lane, slot = struct.unpack_from("<HH", frame.payload)
    members = _Members(frame.outcome)
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
    return Outcome(lane, slot, frame.number, kind, **found)
