"""All commands. Each lives in a file of its own, whose docstring is its help."""

import typer

from jobfleet.cli import check, demo, engine, push, run, status

app = typer.Typer(
    help="Runs fleets of Python job handlers against a workflow engine.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command("run")(run.run)
app.command("status")(status.status)
app.command("check")(check.check)
app.command("engine")(engine.engine)
app.command("push")(push.push)
app.command("demo", hidden=True)(demo.demo)
