"""`jobfleet scale`, `restart`, `pause`, `resume` and `drain`: commands for the pools of a running fleet."""

from pathlib import Path
from typing import Annotated, Any

import typer

from jobfleet.cli.client import command, socket_path, watch_events
from jobfleet.cli.reload import report

Socket = Annotated[Path | None, typer.Option(metavar="PATH", help="Unix socket of the fleet. [JOBFLEET_SOCKET]")]
Name = Annotated[str | None, typer.Option(metavar="NAME", help="Name of the fleet. [JOBFLEET_NAME]")]
PoolName = Annotated[str, typer.Argument(metavar="POOL", help="Name of the pool; `default` if none is named.")]


def scale(
    pool: PoolName,
    processes: Annotated[int, typer.Argument(metavar="N", help="Worker processes to have.")],
    socket: Socket = None,
    name: Name = None,
) -> None:
    """Give a pool another number of worker processes; those that are too many finish their jobs first.

    Holds until the fleet restarts, or until a reload finds another `processes` in the settings.
    """
    _tell(command(socket_path(socket, name), f"/v1/pools/{pool}/scale", {"processes": processes}))


def restart(pool: PoolName, socket: Socket = None, name: Name = None) -> None:
    """Replace every process of a pool by fresh ones, which load the handlers as they are now on disk.

    The new processes are ready before the old ones finish their jobs and leave. Waits for the outcome; exit status as
    of `reload`.
    """
    report(command(socket_path(socket, name), f"/v1/pools/{pool}/restart?wait=true", patient=True), "restarted")


def pause(pool: PoolName, socket: Socket = None, name: Name = None) -> None:
    """Activate no jobs for a pool; running ones finish, waiting ones go back to the engine, processes stay."""
    _tell(command(socket_path(socket, name), f"/v1/pools/{pool}/pause"))


def resume(pool: PoolName, socket: Socket = None, name: Name = None) -> None:
    """Let a paused pool go on, or start a drained one again."""
    answer = command(socket_path(socket, name), f"/v1/pools/{pool}/resume?wait=true", patient=True)
    if "took_s" in answer:
        report(answer, "started")
    else:
        _tell(answer)


def drain(
    pool: Annotated[
        str | None, typer.Argument(metavar="[POOL]", help="The pool to drain; without it the whole fleet, which ends.")
    ] = None,
    socket: Socket = None,
    name: Name = None,
) -> None:
    """Let running jobs finish within the grace period, hand the rest back, and end the processes. Waits for the end.

    A drained pool stays away, over reloads too, until `jobfleet resume POOL`.
    """
    path = socket_path(socket, name)
    with watch_events(path) as events:
        if pool is None:
            command(path, "/v1/drain")
            for _ in events:
                pass
            typer.echo("the fleet has drained")
            return
        answer = command(path, f"/v1/pools/{pool}/drain")
        if answer["state"] != "drained":
            for event in events:
                if event.get("event") == "pool_drained" and event.get("pool") == pool:
                    break
        typer.echo(f"pool {pool} has drained")


def _tell(answer: dict[str, Any]) -> None:
    typer.echo(
        f"pool {answer['pool']} is {answer['state']}, generation {answer['generation']}, "
        f"{answer['processes']} processes"
    )
