"""Loads handlers from files, folders and dotted modules."""

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from jobfleet.handlers.binding import Binding, bind
from jobfleet.handlers.errors import LoadError
from jobfleet.handlers.explain import explain_import
from jobfleet.handlers.finder import FINDER
from jobfleet.handlers.lanes import assign
from jobfleet.handlers.limits import NO_LIMITS, Limits
from jobfleet.handlers.registry import REGISTRY, Hook, Registration, Source
from jobfleet.handlers.spec import HandlerSpec, Strategy
from jobfleet.handlers.targets import Target, resolve, search


@dataclass(frozen=True)
class Loaded:
    """The handlers of one pool, ready to run."""

    handlers: list[HandlerSpec]
    """In type-index order."""
    lanes: list[tuple[Strategy, int]]
    """`(kind, slots)` of each lane, in lane order."""
    notes: list[str]
    """Sentences worth showing to the operator."""
    modules: int
    """How many modules are imported in this process."""
    bindings: list[Binding] = field(default_factory=list, repr=False)
    """How each handler is called, in type-index order."""
    on_start: list[Hook] = field(default_factory=list, repr=False)
    on_stop: list[Hook] = field(default_factory=list, repr=False)


def load(paths: Sequence[str], slots: int | None = None, limits: Limits = NO_LIMITS) -> Loaded:
    """Import `paths` (files, folders, dotted modules) and describe the handlers that they define.

    `slots` is the ceiling per process for the threads and loop lanes, `limits` are those of handlers that say nothing
    about them. Raises `LoadError`. Modules stay imported, and
    their handlers count again when they are asked for again. See `jobfleet.handlers.targets` for what a path may be.
    """
    if not paths:
        raise LoadError("no handlers are given; name a file, a folder or a module")
    if slots is not None and slots < 1:
        raise LoadError(f"slots is {slots}; give 1 or more")
    FINDER.install()
    marks = (len(REGISTRY.handlers), len(REGISTRY.on_start), len(REGISTRY.on_stop))
    targets = [resolve(path) for path in paths]
    search(targets)
    modules: set[str] = set()
    for target in targets:
        modules |= _import(target)
    handlers = _wanted_handlers(REGISTRY.handlers, marks[0], modules)
    _refuse_doubles(handlers)
    bindings = [bind(registration) for registration in handlers]
    lanes, specs, notes = assign(handlers, bindings, slots, limits)
    return Loaded(
        handlers=specs,
        lanes=lanes,
        notes=notes,
        modules=len(sys.modules),
        bindings=bindings,
        on_start=_wanted_hooks(REGISTRY.on_start, marks[1], modules),
        on_stop=_wanted_hooks(REGISTRY.on_stop, marks[2], modules),
    )


def _import(target: Target) -> set[str]:
    """Import the modules of `target`; their names. At least one of them has to bring a handler."""
    mark = len(REGISTRY.handlers)
    roots = [*target.search_first, *target.search_last, os.getcwd()]
    for name in target.modules:
        try:
            importlib.import_module(name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise explain_import(target.given, error, roots) from error
    if not _wanted_handlers(REGISTRY.handlers, mark, set(target.modules)):
        raise LoadError(
            f'{target.given} defines no handler; decorate a function with @handler("the-job-type")', path=target.given
        )
    return set(target.modules)


def _wanted_handlers(registered: list[Registration], mark: int, modules: set[str]) -> list[Registration]:
    """Those registered since `mark`, and earlier ones that `modules` define or import by name."""
    known = {id(value) for name in modules for value in vars(sys.modules[name]).values()}
    wanted = [
        registration
        for index, registration in enumerate(registered)
        if index >= mark or registration.source.module in modules or id(registration.function) in known
    ]
    once = {(_identity(registration.source), registration.options.type): registration for registration in wanted}
    return list(once.values())


def _wanted_hooks(registered: list[Hook], mark: int, modules: set[str]) -> list[Hook]:
    wanted = [hook for i, hook in enumerate(registered) if i >= mark or hook.source.module in modules]
    return list({_identity(hook.source): hook for hook in wanted}.values())


def _identity(source: Source) -> tuple[str, int, str]:
    return (os.path.realpath(source.file), source.line, source.name)


def _refuse_doubles(handlers: list[Registration]) -> None:
    first: dict[str, Source] = {}
    for registration in handlers:
        job_type, source = registration.options.type, registration.source
        earlier = first.setdefault(job_type, source)
        if earlier is not source:
            raise LoadError(
                f"two handlers for job type {job_type!r}: {earlier.name} in {earlier.file}:{earlier.line} and "
                f"{source.name} in {source.file}:{source.line}; remove one or give it another type",
                path=source.file,
                line=source.line,
            )
