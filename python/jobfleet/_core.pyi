"""The Rust core of jobfleet: the data path of the fleet, the worker's end of the link, the local engine."""

from typing import Final, final

__all__ = ["DEBUG_BUILD", "Core", "Link", "LocalEngine"]

DEBUG_BUILD: Final[bool]
"""True when the extension was built without optimisation; rates measured with it mean nothing."""

@final
class Core:
    """The fleet's data path: activates, dispatches, settles and renews jobs in one native thread.

    The thread never needs the GIL. Methods only enqueue; their effects come back as events. Every method raises
    `RuntimeError` in a process that was forked after the core was made.
    """

    def __new__(cls, settings: bytes) -> Core:
        """Make a core from `CoreSettings` as JSON; certificates are read at once.

        Raises `ValueError` naming the bad field, or the certificate that cannot be used.
        """

    def start(self) -> None:
        """Start the native thread. Nothing is activated until a pool and a ready worker exist."""

    def declare_pool(self, spec: bytes) -> int:
        """Declare one generation of a pool (`PoolSpec` as JSON); returns its pool id, which is never used again.

        With `standby` its workers start, and no job comes before `switch_pools`. Raises `ValueError` naming the bad
        field.
        """

    def retire_pool(self, pool_id: int) -> None:
        """Dispatch nothing more to this pool generation; its workers drain. It takes no more workers."""

    def switch_pools(self, begin: list[int], end: list[int]) -> None:
        """In one step: the job types of `begin` go to these generations, and those of `end` are retired.

        Jobs that wait go to the new ones. They go back to the engine where a new generation needs variables that were
        not fetched, or where nobody runs their type any more. Raises `ValueError` for an unknown id.
        """

    def pause_pool(self, pool_id: int, reason: str | None) -> None:
        """Activate nothing for this generation and hand back what has not started, saying why; None ends that."""

    def give_up_workers(self, worker_ids: list[int], reason: str) -> None:
        """Hand back every job that these workers still run; nobody wants their outcomes. It counts as no death."""

    def add_worker(self, pool_id: int) -> tuple[int, int, int]:
        """Make room for one worker process: `(worker_id, link_fd, recorder_fd)`.

        Both descriptors belong to the caller, who passes them to the worker and closes its copies.
        Raises `OSError` when no descriptor can be had.
        """

    def drain_worker(self, worker_id: int) -> None:
        """Give this worker nothing more; its prefetch goes to others; it exits once its running jobs are done."""

    def worker_dead(self, worker_id: int, reason: str) -> None:
        """Tell that the process is dead, known from its pidfd. `reason` goes into hand-back messages.

        The link is read to its end first; then settled jobs count, unstarted ones are dispatched again and
        started ones are handed back to the engine. Ends with the event `buried`.
        """

    def shun_worker(self, worker_id: int, shunned: bool) -> None:
        """Give this worker nothing while it does not move; what it has not started goes to others at once."""

    def condemn_worker(self, worker_id: int, blameless: bool) -> None:
        """Tell that the watchdog is about to kill this worker. Tell of the death with `worker_dead`, as of any other.

        Jobs of it that are over their time limit fail with it and the others are innocent; where there are none, all
        that run are suspects, unless the kill is `blameless`.
        """

    @property
    def beats(self) -> int:
        """How many looks the core's thread has taken at its workers and books: one in a second."""

    def stop_activation(self) -> None:
        """Start no more polls; hand back what waits and what held polls still bring. Ends with `drained`."""

    def give_up(self, reason: str) -> None:
        """Hand back every job that is still running, drop held polls, and end with `drained`."""

    def set_authorization(self, value: str | None) -> None:
        """Replace the Authorization header of the requests that follow.

        Headers are numbered: 0 is the one of the settings, each call makes the next. The event `unauthorized` names
        the number that the engine refused; requests then wait for another header, or for a growing pause.
        """

    def set_grace(self, grace_ms: int) -> None:
        """Replace the grace period: where a drain has to wait for held polls, those that follow fit into it."""

    @property
    def event_fd(self) -> int:
        """A descriptor that is readable while `take_events` has something to return."""

    def take_events(self) -> list[bytes]:
        """All events since the last call, each one JSON object with a member `event`, oldest first."""

    def status(self) -> bytes:
        """The state of the data path as JSON (`CoreStatus`)."""

    def stop(self) -> None:
        """End the native thread and close every connection and link. Idempotent."""

@final
class Link:
    """A worker process's end of the link: takes jobs, settles outcomes, without needing the GIL while it waits.

    Jobs are told apart by `(lane, number)`: the index of the lane and the job's number in it. Every method but
    `close_after_fork` raises `RuntimeError` in a process that was forked after the link was opened.
    """

    def __new__(cls, link_fd: int, recorder_fd: int, lanes: list[tuple[str, int]]) -> Link:
        """Open both ends. `lanes` are `(kind, slots)` with kind `main`, `threads` or `loop`, as declared.

        Takes ownership of both descriptors. Raises `OSError` or `ValueError` when they do not fit `lanes`.
        """

    def start(self) -> None:
        """Start the native thread that owns the socket. Call it in the forked worker, never before the fork."""

    def ready(self) -> None:
        """Report that the worker takes jobs from now on."""

    def start_failed(self, error: str) -> None:
        """Report why the worker cannot take jobs, and flush."""

    def take(self, lane: int, slot: int, timeout_s: float | None = None) -> tuple[int, int, bytes] | None:
        """Start the lane's next job in `slot`: `(number, type_index, job)` with the engine's bytes of the job.

        Blocks without the GIL. None when the lane drains and is empty, when the link is gone, or after
        `timeout_s`; `drained` tells which.
        """

    def try_take(self, lane: int) -> tuple[int, int, int, bytes] | None:
        """Start the lane's next job in a free slot, `(slot, number, type_index, job)`, or None at once.

        Call it until it returns None: from then on `wake_fd` tells when another call is worth it.
        """

    def wake_fd(self, lane: int) -> int:
        """A descriptor (eventfd) that becomes readable when `try_take` is worth a call or `drained` changed.

        The caller reads it empty before it calls `try_take`.
        """

    def complete(
        self,
        lane: int,
        slot: int,
        number: int,
        variables: bytes | None,
        result: bytes | None = None,
        business_id: str | None = None,
    ) -> None:
        """Settle as completed with `variables` (a JSON object), `result` (the engine's own shape) and `business_id`.

        This and the other three send nothing when the slot does not run that job any more. They raise `ValueError`
        for a lane, slot or number that never was, and for an outcome over 64 MiB, which leaves the job running.
        """

    def fail(
        self,
        lane: int,
        slot: int,
        number: int,
        message: str,
        retries: int | None = None,
        backoff_ms: int | None = None,
        variables: bytes | None = None,
    ) -> None:
        """Settle as failed. `retries` None means one less than the job has; `backoff_ms` None the default."""

    def throw_error(
        self, lane: int, slot: int, number: int, code: str, message: str | None = None, variables: bytes | None = None
    ) -> None:
        """Settle by throwing a BPMN error."""

    def hand_back(self, lane: int, slot: int, number: int, message: str, backoff_ms: int = 0) -> None:
        """Give the job back to the engine with unchanged retries."""

    def log(self, level: int, lane: int, number: int, record: bytes) -> None:
        """Send one structured log record (a JSON object). Dropped and counted when too many wait."""

    def flush(self, timeout_s: float = 1.0) -> bool:
        """Write out everything settled so far; False when the core does not read in time."""

    def take_cancels(self) -> list[tuple[int, int, str]]:
        """`(lane, number, reason)` of jobs whose handler should stop; their outcomes are no longer wanted.

        The wake descriptor of a loop lane becomes readable when there is one.
        """

    def wait_limit(self) -> tuple[int, int, int] | None:
        """Wait without the GIL for the next job whose handler is over its limit: `(lane, number, limit_ms)`.

        None once the link is gone.
        """

    def interrupt(self, lane: int, slot: int, number: int, thread: int, error: type[BaseException]) -> bool:
        """Have CPython raise `error` in the thread with this ident, if `slot` still runs job `number`."""

    def running(self, lane: int, slot: int) -> int | None:
        """The number of the job that `slot` has taken and not settled."""

    @property
    def drained(self) -> bool:
        """True once the core gives nothing more and every taken job is settled, or the link is gone."""

    def close_after_fork(self) -> None:
        """Close this process's copies of the descriptors. Only for a child that a handler forked."""

@final
class LocalEngine:
    """The embedded engine, in a native thread of its own."""

    def __new__(cls, options: bytes = b"{}") -> LocalEngine:
        """Start to listen. `options` are JSON: `host`, `port` (0 takes a free one), `dialect` ("8.6", "8.8",
        "8.10"), `seed`, `tls` (`cert_pem`, `key_pem`, and `client_ca_pem` to let in only clients of that
        authority), and what `POST /local/settings` takes. Raises `OSError` when the port is taken, `ValueError`
        naming a bad option.
        """

    @property
    def port(self) -> int:
        """The TCP port it listens on."""

    def account(self) -> bytes:
        """The account as JSON, the same as `GET /account`; after `stop`, as it was at the end."""

    def stop(self) -> None:
        """Close the listener and every connection. Idempotent."""
