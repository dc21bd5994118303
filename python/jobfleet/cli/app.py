"""All commands. Each lives in a file of its own, whose docstring is its help."""

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

app.command("run")(run.run)
app.command("status")(status.status)
app.command("reload")(reload_command.reload)
app.command("scale")(pools.scale)
app.command("restart")(pools.restart)
app.command("pause")(pools.pause)
app.command("resume")(pools.resume)
app.command("drain")(pools.drain)
app.command("check")(check.check)
app.command("engine")(engine.engine)
app.command("push")(push.push)
app.command("demo", hidden=True)(demo.demo)
