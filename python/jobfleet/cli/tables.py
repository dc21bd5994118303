"""A fleet's state as tables for a terminal."""

from __future__ import annotations

import time

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jobfleet.supervisor.core import Percentiles, TypeStatus
from jobfleet.supervisor.status import FleetInfo, FleetStatus, PoolStatus

_STYLES = {"ready": "green", "running": "green", "up": "green", "degraded": "red", "down": "red", "dead": "red"}


def status_view(status: FleetStatus) -> RenderableType:
    """Everything, top down: fleet, pools with their processes, job types."""
    parts: list[RenderableType] = [_fleet(status.fleet), _traffic(status)]
    if status.reload is not None:
        parts.append(_reload(status))
    for pool in [*status.pools, *status.generations]:
        parts += [_pool_line(pool), processes_table(pool)]
    parts += [types_table(status.types), *_poll_lines(status.types)]
    return Group(*parts)


def processes_table(pool: PoolStatus) -> Table:
    """One row per worker process."""
    table = _table("#", "pid", "state", "since", "busy", "jobs", "restarts", "memory", "runs")
    for process in pool.processes:
        runs = ", ".join(f"{job.type} {job.since_ms / 1000:.1f}s" for job in process.running[:2])
        table.add_row(
            str(process.index),
            str(process.pid or "-"),
            state_text(process.liveness if process.trouble else process.state),
            ago(process.since),
            f"{process.busy}/{process.slots}",
            f"{process.jobs:,}",
            str(process.restarts),
            megabytes(process.memory_bytes),
            runs + (" ..." if len(process.running) > 2 else ""),
        )
    return table


def types_table(types: list[TypeStatus]) -> Table:
    """One row per job type."""
    table = _table(
        "type",
        "activated",
        "running",
        "completed",
        "failed",
        "errors",
        "handed back",
        "lost",
        "run p50/p99",
        "latency p50/p99",
    )
    for kind in types:
        table.add_row(
            kind.type,
            f"{kind.activated:,}",
            f"{kind.running:,}",
            f"{kind.completed:,}",
            f"{kind.failed:,}",
            f"{kind.errors_thrown:,}",
            f"{kind.handed_back:,}",
            f"{kind.lost + kind.expired:,}",
            spread(kind.run_us),
            spread(kind.latency_us),
        )
    return table


def spread(percentiles: Percentiles) -> str:
    """Median and 99th percentile."""
    return f"{span(percentiles.p50)} / {span(percentiles.p99)}"


def span(microseconds: float) -> str:
    """A time with a unit that suits it."""
    if microseconds < 1000:
        return f"{microseconds:.0f} µs"
    return f"{microseconds / 1000:.1f} ms" if microseconds < 1e6 else f"{microseconds / 1e6:.1f} s"


def megabytes(count: float) -> str:
    """Bytes as MB."""
    return f"{count / 2**20:.1f} MB" if count else "-"


def ago(since: float) -> str:
    """The time since then."""
    seconds = max(0, int(time.time() - since))
    if seconds < 120:
        return f"{seconds}s"
    return f"{seconds // 60}m" if seconds < 7200 else f"{seconds // 3600}h"


def state_text(state: str) -> Text:
    """A state in its colour."""
    return Text(state, style=_STYLES.get(state, "yellow"))


def _fleet(fleet: FleetInfo) -> RenderableType:
    text = Text.assemble((f"fleet {fleet.name} ", "bold"), state_text(fleet.state))
    text.append(
        f"  pid {fleet.pid}, up {ago(time.time() - fleet.uptime_s)}, {megabytes(fleet.memory_bytes)}, {fleet.version}"
    )
    if fleet.grace_left_s is not None:
        text.append(f", {fleet.grace_left_s:.0f} s of grace left", style="yellow")
    return text


def _traffic(status: FleetStatus) -> RenderableType:
    engine, permits = status.fleet.engine, status.permits
    text = Text.assemble(f"engine {engine.kind} {engine.url} ", state_text(engine.state))
    if engine.version:
        text.append(f"  version {engine.version}")
    if engine.message:
        text.append(f"  {engine.message}", style="red")
    credentials = status.fleet.credentials
    text.append(f"\ncredentials {credentials.credentials}: ")
    text.append(credentials.state, style="green" if credentials.state == "ok" else "red")
    if credentials.expires_in_s is not None:
        text.append(f", good for {max(0.0, credentials.expires_in_s):.0f} s")
    if credentials.message:
        text.append(f"  {credentials.message}", style="red")
    cap = "no cap" if permits.cap is None else f"cap {permits.cap}"
    text.append(f"\npermits {permits.state}: {permits.in_use} in use, {cap}, {permits.refusals} refusals")
    if permits.outcome_refusals:
        text.append(f"; outcomes {permits.outcome_limit} at once, {permits.outcome_refusals} refusals")
    text.append(f"; {status.totals.in_flight} jobs in flight, {status.totals.held_polls} held polls")
    return text


def _reload(status: FleetStatus) -> RenderableType:
    """The reload that goes on, or how the last one ended."""
    reload = status.reload
    if reload is None:
        return Text()
    text = Text.assemble("reload ", (reload.state, "red" if reload.state == "failed" else "green"))
    text.append(f" {ago(reload.since)} ago ({reload.why})")
    if reload.error:
        text.append(f": {reload.error}", style="red")
    if reload.needs_restart:
        text.append(f"; needs a restart: {', '.join(reload.needs_restart)}", style="yellow")
    if status.reload_queued:
        text.append("; another one follows", style="yellow")
    return text


def _poll_lines(types: list[TypeStatus]) -> list[RenderableType]:
    """One line for each type whose polls the engine does not simply answer."""
    lines: list[RenderableType] = []
    for kind in types:
        parts = [f"{kind.refusals:,} polls refused"] if kind.refusals else []
        if kind.most_per_answer is not None:
            parts.append(f"asks for {kind.most_per_answer:,} jobs at most: larger answers cannot be sent")
        if kind.poll_error is not None:
            parts.append(f"latest poll: {kind.poll_error}")
        if parts:
            style = "yellow" if kind.poll_error is None else "red"
            lines.append(Text(f"type {kind.type}: " + "; ".join(parts), style=style))
    return lines


def _pool_line(pool: PoolStatus) -> RenderableType:
    text = Text.assemble("\n", (f"pool {pool.name} ", "bold"), state_text(pool.state))
    text.append(f"  generation {pool.generation}, {len(pool.processes)} of {pool.size} processes")
    if pool.grace_left_s is not None:
        text.append(f", {pool.grace_left_s:.0f} s of grace left", style="yellow")
    if pool.state in ("degraded", "draining") and pool.reason:
        text.append(f"  {pool.reason}", style="red" if pool.state == "degraded" else "yellow")
    return text


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 or column in ("state", "runs") else "right")
    return table
