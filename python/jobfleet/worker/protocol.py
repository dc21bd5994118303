"""What supervisor and zygote say to each other: one JSON object per message, told apart by `op`."""

import msgspec

from jobfleet.handlers.limits import NO_LIMITS, Limits
from jobfleet.handlers.spec import HandlerSpec, Strategy


class Load(msgspec.Struct, tag_field="op", tag="load", kw_only=True):
    """To the zygote: import these handlers. Answered by Loaded or LoadFailed."""

    pool: str
    generation: int
    handlers: list[str]
    """Files, folders, dotted modules."""
    slots: int | None = None
    """Ceiling per process for threads and async handlers."""
    preload: bool = True
    """False: import in each worker after the fork."""
    supervisor_pid: int
    limits: Limits = NO_LIMITS
    """Of handlers that say nothing about theirs."""


class Fork(msgspec.Struct, tag_field="op", tag="fork", kw_only=True):
    """To the zygote, with the descriptors of link, recorder and output. Answered by Forked or ForkFailed."""

    worker: int
    index: int = 0


class ForkZygote(msgspec.Struct, tag_field="op", tag="fork_zygote", kw_only=True):
    """To a seed, with the descriptors of the new zygote's control socket and output.

    Answered by ZygoteForked on that control socket, or by its end.
    """


class Quit(msgspec.Struct, tag_field="op", tag="quit", kw_only=True):
    """To the zygote: exit. Not answered."""


class LoadedReply(msgspec.Struct, tag_field="op", tag="loaded", kw_only=True):
    """The handlers, in type-index order, and the lanes that they need."""

    handlers: list[HandlerSpec]
    lanes: list[tuple[Strategy, int]]
    notes: list[str]
    preload: bool
    modules: int
    files: list[str] = []
    """The sources of the user's modules."""
    fingerprint: str = ""
    """Changes with any of these files."""


class LoadFailed(msgspec.Struct, tag_field="op", tag="load_failed", kw_only=True):
    """One sentence, and where; `detail` is the traceback."""

    error: str
    detail: str = ""
    path: str | None = None
    line: int | None = None


class Forked(msgspec.Struct, tag_field="op", tag="forked", kw_only=True):
    """The worker's process id."""

    worker: int
    pid: int


class ZygoteForked(msgspec.Struct, tag_field="op", tag="zygote_forked", kw_only=True):
    """The first words of a zygote that was forked from a seed: its process id."""

    pid: int


class ForkFailed(msgspec.Struct, tag_field="op", tag="fork_failed", kw_only=True):
    """Why there is no process for this worker."""

    worker: int
    error: str


Order = Load | Fork | ForkZygote | Quit
Reply = LoadedReply | LoadFailed | Forked | ForkFailed | ZygoteForked
