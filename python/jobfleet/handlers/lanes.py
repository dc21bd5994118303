"""Distributes handlers over the lanes of a worker process."""

import os
from typing import get_args

from jobfleet.handlers.binding import Binding
from jobfleet.handlers.errors import LoadError
from jobfleet.handlers.limits import NO_LIMITS, Limits
from jobfleet.handlers.registry import Registration
from jobfleet.handlers.spec import HandlerSpec, Strategy

Lane = tuple[Strategy, int]


def assign(
    handlers: list[Registration], bindings: list[Binding], ceiling: int | None, default: Limits = NO_LIMITS
) -> tuple[list[Lane], list[HandlerSpec], list[str]]:
    """The lanes in their fixed order, the specs in type-index order, and notes for the operator. Raises LoadError."""
    lanes = _lanes(bindings, ceiling)
    place = {kind: index for index, (kind, _) in enumerate(lanes)}
    specs: list[HandlerSpec] = []
    notes: list[str] = []
    for registration, binding in zip(handlers, bindings, strict=True):
        source, options = registration.source, registration.options
        slots = min(binding.slots, lanes[place[binding.strategy]][1])
        if options.slots is not None and slots < options.slots:
            notes.append(f"{options.type}: {slots} of its {options.slots} slots, the ceiling for one process")
        limits = _limits(registration, default)
        specs.append(
            HandlerSpec(
                type=options.type,
                name=f"{source.module}:{source.name}",
                file=os.path.abspath(source.file),
                line=source.line,
                strategy=binding.strategy,
                lane=place[binding.strategy],
                slots=slots,
                lease_ms=options.lease_ms,
                renew=options.renew,
                fetch=binding.fetch,
                tenants=None if options.tenants is None else list(options.tenants),
                tenant_filter=options.tenant_filter,
                hold_ms=options.hold_ms,
                max_jobs=options.max_jobs,
                time_limit_ms=limits.soft_ms,
                hard_time_limit_ms=limits.hard_ms,
            )
        )
    return lanes, specs, notes


def _limits(registration: Registration, default: Limits) -> Limits:
    try:
        return registration.options.limits.over(default)
    except ValueError as wrong:
        source = registration.source
        raise LoadError(
            f"{source.file}:{source.line}: handler {source.name}: with the pool's limits, {wrong}",
            path=source.file,
            line=source.line,
        ) from None


def _lanes(bindings: list[Binding], ceiling: int | None) -> list[Lane]:
    lanes: list[Lane] = []
    for kind in get_args(Strategy):
        wanted = sum(binding.slots for binding in bindings if binding.strategy == kind)
        if kind == "main":
            wanted = min(wanted, 1)
        elif ceiling is not None:
            wanted = min(wanted, ceiling)
        if wanted:
            lanes.append((kind, wanted))
    return lanes
