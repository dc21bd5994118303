"""`python -m jobfleet.worker.zygote --control-fd N`: imports the handlers of one pool and forks its workers.

It has one thread and serves one pool generation. Where handler modules do what cannot be forked, or preload is off, it
replaces itself with a fresh interpreter that imports nothing, and its workers import after the fork.

One that has loaded nothing can be a seed: zygotes are forked from it, which spares each of them the start of Python and
the import of everything but the handlers.
"""

import gc
import importlib
import os
import sys
import time
import traceback
from typing import NoReturn

import msgspec

from jobfleet.handlers.errors import LoadError
from jobfleet.handlers.load import Loaded, load
from jobfleet.worker.control import BadOrder, Control, close_all
from jobfleet.worker.exit_codes import ExitCode
from jobfleet.worker.failure_text import failure_text
from jobfleet.worker.output import attribute_output
from jobfleet.worker.parent import die_with_parent
from jobfleet.worker.preload import hazards, native_threads_note, open_descriptors
from jobfleet.worker.process import import_lanes, import_link
from jobfleet.worker.protocol import (
    Fork,
    Forked,
    ForkFailed,
    ForkZygote,
    Load,
    LoadedReply,
    LoadFailed,
    Order,
    ZygoteForked,
)
from jobfleet.worker.signals import settle_down
from jobfleet.worker.sources import drop_young_bytecode, fingerprint, user_files
from jobfleet.worker.spawn import Unloaded, become_worker, double_fork, redirect, settle_in

_DETAIL_CHARACTERS = 32_000
"""A traceback must fit into one message."""


class Zygote:
    """Carries out the supervisor's orders, one after the other."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._supervisor = os.getppid()
        self._pool: Loaded | Unloaded | None = None
        self._started_at = time.time()
        self._start = (os.getcwd(), dict(os.environ), open_descriptors())

    def resume(self, pool: Unloaded) -> None:
        """Serve a pool that an earlier incarnation has probed and reported."""
        self._pool = pool

    def serve(self) -> None:
        """Until the supervisor says quit or is gone."""
        while True:
            try:
                received = self._control.receive()
            except BadOrder as wrong:
                sys.stderr.write(f"jobfleet: the zygote cannot carry out an order: {wrong}\n")
                if isinstance(wrong.order, Fork):
                    self._control.send(ForkFailed(worker=wrong.order.worker, error=str(wrong)))
                continue
            if received is None or not self._obey(*received):
                return

    def _obey(self, order: Order, descriptors: list[int]) -> bool:
        if isinstance(order, Fork):
            self._fork(order, descriptors)
            return True
        if isinstance(order, ForkZygote):
            self._fork_zygote(descriptors)
            return True
        close_all(descriptors)
        if isinstance(order, Load):
            self._load(order)
            return True
        return False

    def _load(self, order: Load) -> None:
        if order.supervisor_pid != self._supervisor:
            os._exit(ExitCode.SUPERVISOR_GONE)
        if self._pool is not None:
            self._control.send(LoadFailed(error="this zygote has loaded its handlers already; start another one"))
            return
        try:
            loaded = load(order.handlers, order.slots, order.limits)
        except LoadError as failed:
            detail = failed.detail[-_DETAIL_CHARACTERS:]
            self._control.send(LoadFailed(error=str(failed), detail=detail, path=failed.path, line=failed.line))
            return
        except Exception as defect:
            detail = traceback.format_exc()[-_DETAIL_CHARACTERS:]
            self._control.send(LoadFailed(error=f"loading failed: {failure_text(defect)}", detail=detail))
            return
        finally:
            settle_down()
        notes = list(loaded.notes)
        if order.preload:
            unforkable = hazards(self._start[2], order.handlers)
            notes += [f"preload is off: {sentence}" for sentence in unforkable]
            if not unforkable:
                self._keep(loaded, notes)
                return
        self._report(loaded, notes, preload=False)
        types = [handler.type for handler in loaded.handlers]
        self._start_afresh(Unloaded(order.handlers, order.slots, loaded.lanes, types, order.limits))

    def _keep(self, loaded: Loaded, notes: list[str]) -> None:
        note = native_threads_note()
        import_lanes(loaded)
        # What exists now is shared with the workers as long as no collector writes to it.
        gc.collect()
        gc.freeze()
        self._pool = loaded
        self._report(loaded, notes if note is None else [*notes, note], preload=True)

    def _report(self, loaded: Loaded, notes: list[str], *, preload: bool) -> None:
        files = user_files()
        drop_young_bytecode(files, self._started_at)
        reply = LoadedReply(
            handlers=loaded.handlers,
            lanes=loaded.lanes,
            notes=notes,
            preload=preload,
            modules=loaded.modules,
            files=files,
            fingerprint=fingerprint(files),
        )
        try:
            self._control.send(reply)
        except OSError as refused:
            self._control.send(
                LoadFailed(error=f"the list of {len(loaded.handlers)} handlers cannot be sent: {refused}")
            )

    def _fork(self, order: Fork, descriptors: list[int]) -> None:
        if self._pool is None:
            error: str | None = "no handlers are loaded"
        elif len(descriptors) != 3:
            error = f"expected three descriptors, got {len(descriptors)}"
        else:
            pool, foreign = self._pool, self._control.descriptor
            error = None
            try:
                pid = double_fork(
                    lambda between, written: become_worker(
                        pool, descriptors, [foreign, written], self._supervisor, between
                    )
                )
            except OSError as refused:
                error = f"cannot fork: {refused.strerror or refused}"
        close_all(descriptors)
        reply = Forked(worker=order.worker, pid=pid) if error is None else ForkFailed(worker=order.worker, error=error)
        self._control.send(reply)

    def _fork_zygote(self, descriptors: list[int]) -> None:
        """Who asked for it hears of a failure from the end of the new zygote's control socket."""
        foreign, supervisor = self._control.descriptor, self._supervisor
        try:
            if self._pool is not None or len(descriptors) != 2:
                raise OSError("only a zygote that has loaded nothing can do so, with two descriptors")
            # Once: children are forked with it.
            import_link()
            double_fork(lambda between, written: _become_zygote(descriptors, [foreign, written], supervisor, between))
        except OSError as refused:
            sys.stderr.write(f"jobfleet: no zygote can be forked: {refused}\n")
        close_all(descriptors)

    def _start_afresh(self, pool: Unloaded) -> NoReturn:
        """Replace this process by a zygote that has imported nothing; it keeps its pid and its control socket."""
        folder, environment, _ = self._start
        keep = self._control.descriptor
        for descriptor in open_descriptors():
            if descriptor > 2:
                try:
                    os.set_inheritable(descriptor, descriptor == keep)
                except OSError:
                    continue
        os.chdir(folder)
        # The last argument is the control socket's number, in a forked zygote that of its seed.
        arguments = [*sys.orig_argv[1:-1], str(keep), "--unloaded", msgspec.json.encode(pool).decode()]
        os.execve(sys.executable, [sys.executable, *arguments], environment)  # noqa: S606 - the interpreter itself


def _become_zygote(descriptors: list[int], foreign: list[int], supervisor: int, between: int) -> NoReturn:
    """Serve a pool as a zygote of the supervisor's own; `foreign` descriptors are closed first."""
    try:
        close_all(foreign)
        control_fd, output_fd = descriptors
        redirect(output_fd)
        settle_in(supervisor, between)
        # Folders may have changed since the seed has looked into them.
        importlib.invalidate_caches()
        control = Control(control_fd)
        control.send(ZygoteForked(pid=os.getpid()))
        Zygote(control).serve()
    except BaseException:
        sys.stderr.write(f"jobfleet: the zygote itself failed:\n{traceback.format_exc()}")
        os._exit(ExitCode.BROKEN)
    os._exit(ExitCode.DRAINED)


def main() -> NoReturn:
    """Entry point."""
    match sys.argv[1:]:
        case ["--control-fd", descriptor]:
            unloaded = None
        case ["--control-fd", descriptor, "--unloaded", pool]:
            unloaded = msgspec.json.decode(pool, type=Unloaded)
        case _:
            sys.exit("usage: python -m jobfleet.worker.zygote --control-fd N; only a fleet's supervisor starts one")
    die_with_parent()
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    settle_down()
    gc.disable()
    attribute_output()
    zygote = Zygote(Control(int(descriptor)))
    # A forked zygote that collects garbage looks at what it has added only.
    gc.freeze()
    if unloaded is not None:
        zygote.resume(unloaded)
    zygote.serve()
    os._exit(ExitCode.DRAINED)


if __name__ == "__main__":
    main()
