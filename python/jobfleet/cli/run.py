"""`jobfleet run`: a fleet, until a signal or `/v1/drain` ends it."""

from typing import Annotated

import typer

from jobfleet.cli.quick import RUN_OPTIONS, RunArguments
from jobfleet.cli.start import start
from jobfleet.config.shape import description, environment_name


def _option(flag: str, metavar: str) -> typer.models.OptionInfo:
    path = RUN_OPTIONS[flag]
    text = f"{description(path)} [{environment_name(path)}]"
    option: typer.models.OptionInfo = typer.Option(flag, metavar=metavar, help=text, show_default=False)
    return option


def run(
    handlers: Annotated[
        list[str] | None,
        typer.Argument(metavar="HANDLERS", help=description(("handlers",)), show_default=False),
    ] = None,
    *,
    engine: Annotated[str | None, _option("--engine", "URL")] = None,
    processes: Annotated[str | None, _option("--processes", "N|auto")] = None,
    slots: Annotated[str | None, _option("--slots", "N")] = None,
    socket: Annotated[str | None, _option("--socket", "PATH")] = None,
    name: Annotated[str | None, _option("--name", "NAME")] = None,
    grace: Annotated[str | None, _option("--grace", "SECONDS")] = None,
    log_format: Annotated[str | None, _option("--log-format", "text|json")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help=f"{description(('watch',))} [{environment_name(('watch',))}]")
    ] = False,
    config: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Settings file; fleet.toml of this folder by default. [JOBFLEET_CONFIG]"),
    ] = None,
) -> None:
    """Run handlers against an engine; without --engine against an embedded local one.

    Options win over JOBFLEET_* variables, these over the settings file, and that over defaults.
    The first SIGTERM or SIGINT drains the fleet within the grace period; a second one ends it at once.
    SIGHUP or `jobfleet reload` loads handlers and settings anew while jobs go on.
    """
    given = {
        "--engine": engine,
        "--processes": processes,
        "--slots": slots,
        "--socket": socket,
        "--name": name,
        "--grace": grace,
        "--log-format": log_format,
    }
    options = {RUN_OPTIONS[flag]: value for flag, value in given.items() if value is not None}
    if watch:
        options["watch",] = "true"
    raise typer.Exit(start(RunArguments(handlers or [], options, config)))
