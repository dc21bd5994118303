"""`jobfleet check`: loads handlers as a fleet would, and tries the engine if asked to."""

import os
import select
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobfleet.cli.secret_reads import secret_reads
from jobfleet.cli.start import complain
from jobfleet.supervisor.exits import ExitCode
from jobfleet.supervisor.spawn import Spawned, spawn_zygote

if TYPE_CHECKING:
    from jobfleet.config import PoolPlan
    from jobfleet.supervisor.messages import Loaded, LoadFailed


def check(
    handlers: Annotated[
        list[str] | None, typer.Argument(metavar="HANDLERS", help="Files, folders and dotted modules.")
    ] = None,
    engine: Annotated[
        bool,
        typer.Option(
            "--engine", help="Try the engine and its credentials: of the settings, or of the address that follows."
        ),
    ] = False,
    slots: Annotated[int | None, typer.Option(min=1, metavar="N", help="As for `run`.")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="As for `run`.")] = None,
) -> None:
    """Load handlers and print what would run; tell what is wrong otherwise. Takes no jobs.

    With --engine, and without handlers, only the engine is tried.
    """
    from jobfleet.cli.check_engine import check_engine, split_address  # noqa: PLC0415 - not needed for --help
    from jobfleet.config import SettingsError, load_settings, plan_pools  # noqa: PLC0415

    given: dict[tuple[str, ...], object] = {}
    if engine:
        address, handlers = split_address(handlers or [])
        if address is not None:
            given["engine", "url"] = address
    if handlers:
        given["handlers",] = handlers
    if slots is not None:
        given["slots",] = slots
    try:
        loaded = load_settings(given, os.environ, config)
        wants_handlers = not engine or loaded.settings.handlers or loaded.settings.pools
        plans = plan_pools(loaded.settings) if wants_handlers else []
    except SettingsError as error:
        complain(*error.problems)
        raise typer.Exit(ExitCode.SETTINGS) from None
    for note in loaded.notes:
        complain(note)
    failures = [plan.name for plan in plans if not _check_pool(plan, loaded.settings.pass_credentials)]
    engine_code = check_engine(loaded) if engine else ExitCode.OK
    raise typer.Exit(ExitCode.HANDLERS if failures else engine_code)


def _check_pool(plan: "PoolPlan", pass_credentials: bool) -> bool:
    from jobfleet.supervisor.inherit import inherit  # noqa: PLC0415
    from jobfleet.supervisor.loading import send_load  # noqa: PLC0415
    from jobfleet.supervisor.messages import Loaded, LoadFailed  # noqa: PLC0415

    spawned = spawn_zygote(os.environ, pass_credentials)
    try:
        send_load(spawned, plan)
        reply = _reply(spawned)
    except OSError as error:
        reply = LoadFailed(error=f"the process that imports the handlers is gone: {error}")
    spawned.close()
    # It is the only child there is.
    _, status = os.wait()
    if isinstance(reply, Loaded):
        inherit(reply, plan.defaults)
        _print_pool(plan, reply)
        if not pass_credentials:
            for sentence in secret_reads(handler.file for handler in reply.handlers):
                typer.echo(f"  note: {sentence}")
        return True
    if reply is None:
        code = os.waitstatus_to_exitcode(status)
        how = f"was killed by signal {-code}" if code < 0 else f"exited with status {code}"
        reply = LoadFailed(error=f"the process that imports the handlers {how}")
    complain(f"pool {plan.name}: {reply.error}")
    if reply.detail:
        print(reply.detail.rstrip(), file=sys.stderr)
    return False


def _reply(spawned: Spawned) -> "Loaded | LoadFailed | None":
    """The zygote's answer, while its output is passed on; None when it died without one."""
    from jobfleet.supervisor.messages import Loaded, LoadFailed, read_reply  # noqa: PLC0415

    control, output = spawned.control.fileno(), spawned.output_fd
    watched = [control, output]
    while True:
        readable, _, _ = select.select(watched, [], [])
        if output in readable:
            data = os.read(output, 1 << 16)
            os.write(2, data)
            if not data:
                watched.remove(output)
        elif control in readable:
            message = spawned.control.recv(1 << 20)
            reply = read_reply(message) if message else None
            return reply if isinstance(reply, Loaded | LoadFailed) else None


def _print_pool(plan: "PoolPlan", loaded: "Loaded") -> None:
    lanes = ", ".join(f"{kind} {slots}" for kind, slots in loaded.lanes)
    typer.echo(f"pool {plan.name}: {len(loaded.handlers)} job types in {plan.processes} processes; lanes: {lanes}")
    rows = [("TYPE", "HANDLER", "STRATEGY", "SLOTS", "LEASE", "VARIABLES", "PLACE")]
    for handler in loaded.handlers:
        fetched = "all" if handler.fetch is None else ", ".join(handler.fetch) or "none"
        place = f"{handler.file}:{handler.line}"
        lease = f"{(handler.lease_ms or 0) / 1000:g}s"
        rows.append((handler.type, handler.name, handler.strategy, str(handler.slots), lease, fetched, place))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo(("  " + "  ".join(cells)).rstrip())
    for note in loaded.notes:
        typer.echo(f"  note: {note}")
