"""`jobfleet engine`: the local engine alone."""

import json
import signal
from typing import Annotated

import typer

from jobfleet.cli.start import complain
from jobfleet.supervisor.exits import ExitCode


def engine(
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    dialect: Annotated[str, typer.Option(help="Camunda version whose wire it speaks: 8.6, 8.8 or 8.10.")] = "8.8",
    seed: Annotated[int, typer.Option(help="Seed of everything random in it.")] = 1,
) -> None:
    """Run the local engine, which speaks Camunda's job API, until SIGTERM or SIGINT; then print its account."""
    from jobfleet._core import LocalEngine  # noqa: PLC0415 - other commands do without

    # Blocked before the engine's thread exists, so that only `sigwait` takes them.
    waited = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    options = {"host": host, "port": port, "dialect": dialect, "seed": seed}
    try:
        local = LocalEngine(json.dumps(options).encode())
    except ValueError as error:
        complain(str(error))
        raise typer.Exit(ExitCode.USAGE) from None
    except OSError as error:
        complain(f"the local engine cannot listen on {host}:{port}: {error}; choose another --port")
        raise typer.Exit(ExitCode.ENGINE) from None
    typer.echo(f"local engine listens on http://{host}:{local.port} (Camunda {dialect})")
    signal.sigwait(waited)
    account = local.account().decode()
    local.stop()
    typer.echo(account)
