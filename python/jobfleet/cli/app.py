"""All commands. Each lives in a file of its own, whose docstring is its help."""

from typing import Annotated

import typer

from jobfleet.cli import check, demo, engine, pools, push, run, status
from jobfleet.cli import reload as reload_command

app = typer.Typer(
    help="Runs fleets of Python job handlers against a workflow engine.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - slow to import

        typer.echo(f"jobfleet {version('jobfleet')}")
        raise typer.Exit


@app.callback()
def _main(
    _: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Runs fleets of Python job handlers against a workflow engine."""


app.command("run", short_help="Run handlers against an engine, or an embedded one.")(run.run)
app.command("status", short_help="Show fleet, pools, processes and job types.")(status.status)
app.command("reload", short_help="Load handlers and settings anew, without a gap.")(reload_command.reload)
app.command("scale", short_help="Give a pool another number of processes.")(pools.scale)
app.command("restart", short_help="Replace every process of a pool.")(pools.restart)
app.command("pause", short_help="Activate no jobs for a pool.")(pools.pause)
app.command("resume", short_help="Let a paused or drained pool go on.")(pools.resume)
app.command("drain", short_help="Let running jobs finish; end a pool or the fleet.")(pools.drain)
app.command("check", short_help="Load handlers, or try the engine; take no jobs.")(check.check)
app.command("engine", short_help="Run the local engine alone.")(engine.engine)
app.command("push", short_help="Put jobs into a local engine.")(push.push)
app.command("demo", hidden=True)(demo.demo)
