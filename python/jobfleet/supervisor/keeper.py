"""Keeps one zygote for a pool generation: another one takes the place of one that dies, ever later."""

from __future__ import annotations

import random
import time
from typing import Final, Protocol

from jobfleet.config.model import PoolPlan
from jobfleet.supervisor.loading import send_load
from jobfleet.supervisor.log import Level
from jobfleet.supervisor.messages import Loaded, LoadFailed
from jobfleet.supervisor.output import Output
from jobfleet.supervisor.reaper import Exit
from jobfleet.supervisor.restart import Backoff
from jobfleet.supervisor.spawn import Spawned
from jobfleet.supervisor.surroundings import Surroundings, Teller
from jobfleet.supervisor.zygote import Zygote

# Loading again at once cannot help: a person has to mend the handlers first.
_RELOAD_PAUSE_S: Final = 1.0
# A zygote leaves within milliseconds when its socket ends.
_QUIT_S: Final = 1.0


class KeeperOwner(Protocol):
    """The pool, as the keeper of its zygote sees it."""

    @property
    def is_draining(self) -> bool: ...
    @property
    def load_error(self) -> LoadFailed | None: ...
    def loaded(self, reply: Loaded) -> None: ...
    def load_failed(self, reply: LoadFailed) -> None: ...
    def forked(self, worker: int, pid: int) -> None: ...
    def fork_failed(self, worker: int, error: str) -> None: ...
    def zygote_lost(self, how: Exit, unanswered: list[int], was_loaded: bool) -> None: ...


class ZygoteKeeper:
    """Implements `ZygoteOwner`."""

    def __init__(
        self, plan: PoolPlan, generation: int, around: Surroundings, teller: Teller, owner: KeeperOwner
    ) -> None:
        self._plan = plan
        self._generation = generation
        self._around = around
        self._teller = teller
        self._owner = owner
        self._backoff = Backoff(random.random)
        self._since = 0.0
        self._output: Output | None = None
        self.zygote: Zygote | None = None

    @property
    def pid(self) -> int | None:
        """The zygote's process id, once it is known."""
        return self.zygote.pid if self.zygote else None

    @property
    def is_gone(self) -> bool:
        """Whether there is no zygote, and none about to be forked."""
        return self.zygote is None

    def start(self, spawned: Spawned) -> None:
        """Begin with a zygote that has been asked to load."""
        self._output = Output(spawned.output_fd, self._around.log, self._around.loop)
        self._output.start(f"{self._plan.name}/zygote")
        self.zygote = Zygote(spawned, self, self._around.loop, self._around.reaper)
        self._since = time.monotonic()
        self.zygote.start()

    def quit(self) -> None:
        """Let the zygote leave; unless the pool drains, another one follows."""
        if self.zygote is not None:
            self.zygote.quit()

    def dismiss(self) -> None:
        """Let it leave for good; one that still imports does not listen, and one that does not listen is killed."""
        zygote = self.zygote
        if zygote is None:
            return
        zygote.quit()
        if zygote.is_loaded:
            self._around.loop.call_later(_QUIT_S, zygote.kill)
        else:
            zygote.kill()

    def kill(self) -> None:
        """Kill it. Its workers live on."""
        if self.zygote is not None:
            self.zygote.kill()

    def close(self) -> None:
        """Kill it; nobody waits for its end."""
        self.kill()
        self.quit()
        if self._output is not None:
            self._output.finish()

    # -- what the zygote says

    def loaded(self, reply: Loaded) -> None:
        """The handlers are imported."""
        self._owner.loaded(reply)

    def load_failed(self, reply: LoadFailed) -> None:
        """The handlers cannot be used."""
        self._owner.load_failed(reply)

    def forked(self, worker: int, pid: int) -> None:
        """A worker process exists."""
        self._owner.forked(worker, pid)

    def fork_failed(self, worker: int, error: str) -> None:
        """A worker could not be forked."""
        self._owner.fork_failed(worker, error)

    def zygote_misbehaved(self, what: str) -> None:
        """It is being killed; say why."""
        self._teller.say(Level.ERROR, f"the zygote {what}")

    def zygote_died(self, how: Exit, unanswered: list[int]) -> None:
        """Another zygote takes its place."""
        was_loaded = self.zygote is not None and self.zygote.is_loaded
        self.zygote = None
        if self._output is not None:
            self._output.finish()
            self._output = None
        self._owner.zygote_lost(how, unanswered, was_loaded)
        self._teller.publish("zygote_died", reason=str(how))
        if self._owner.is_draining:
            return
        pause_s = self._backoff.died(time.monotonic() - self._since)
        if self._owner.load_error is not None:
            pause_s = max(pause_s, _RELOAD_PAUSE_S)
        self._around.loop.call_later(pause_s, self._replace)

    def _replace(self) -> None:
        if self._owner.is_draining:
            return
        try:
            spawned = self._around.spawn()
        except OSError as error:
            self._teller.say(Level.ERROR, f"no zygote can be started: {error}")
            self._around.loop.call_later(max(_RELOAD_PAUSE_S, self._backoff.died(0.0)), self._replace)
            return
        try:
            send_load(spawned, self._plan, self._generation)
        except OSError as error:
            # It is dead already, which its pidfd tells.
            self._teller.say(Level.WARNING, f"the new zygote cannot be reached: {error}")
        self.start(spawned)
