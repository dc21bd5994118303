"""`jobfleet reload`: new handlers and settings for a running fleet."""

from pathlib import Path
from typing import Annotated, Any

import typer

from jobfleet.cli.client import command, socket_path
from jobfleet.cli.start import complain
from jobfleet.supervisor.exits import ExitCode

_EXIT_CODES = {"settings": ExitCode.SETTINGS, "handlers": ExitCode.HANDLERS}


def reload(
    socket: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Unix socket of the fleet. [JOBFLEET_SOCKET]")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the fleet. [JOBFLEET_NAME]")] = None,
) -> None:
    """Load handlers and settings anew while jobs go on, and wait for the outcome.

    The new processes are ready before the old ones finish their jobs and leave. When anything is wrong, the fleet goes
    on as it was: exit status 3 for wrong settings, 4 for handlers that do not load, 1 for anything else.
    """
    report(command(socket_path(socket, name), "/v1/reload?wait=true", patient=True))


def report(outcome: dict[str, Any], done: str = "reloaded") -> None:
    """Print the outcome of a reload, which `done` names; ends the command when it failed."""
    for warning in outcome.get("warnings", []):
        complain(warning)
    if outcome["state"] == "done":
        pools = ", ".join(f"{name} (generation {number})" for name, number in outcome["pools"].items())
        changed = f"; changed: {', '.join(outcome['applied'])}" if outcome["applied"] else ""
        typer.echo(f"{done} in {outcome['took_s']:g} s: {pools or 'no pool'}{changed}")
        return
    complain(f"reload failed, the fleet goes on as it was: {outcome['error']}")
    if outcome["detail"]:
        typer.echo(outcome["detail"].rstrip(), err=True)
    raise typer.Exit(_EXIT_CODES.get(outcome["cause"], ExitCode.FAILED))
