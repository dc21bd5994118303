"""Starts a fleet: the seed of its zygotes before everything else, so that its start-up runs beside ours."""

import os
import sys

from jobfleet.cli.quick import RUN_OPTIONS, RunArguments
from jobfleet.supervisor.exits import ExitCode
from jobfleet.supervisor.hangup import EarlyHangup
from jobfleet.supervisor.seed import Seed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobfleet.config import Loaded, PoolPlan
    from jobfleet.supervisor.spawn import Spawned


def start(arguments: RunArguments) -> ExitCode:
    """Run a fleet to its end."""
    hangup = EarlyHangup()
    try:
        seed = Seed(os.environ)
    except OSError as error:
        complain(f"no process for the handlers can be started: {error}")
        return ExitCode.FAILED

    from pathlib import Path  # noqa: PLC0415 - see above: first things first

    from jobfleet.config import SettingsError, load_settings, plan_pools  # noqa: PLC0415

    flags = {path: flag for flag, path in RUN_OPTIONS.items()}
    config = Path(arguments.config) if arguments.config else None

    def read() -> "tuple[Loaded, list[PoolPlan]]":
        loaded = load_settings(arguments.values(), os.environ, config, flags)
        return loaded, plan_pools(loaded.settings)

    try:
        loaded, plans = read()
    except SettingsError as error:
        seed.close()
        complain(*error.problems)
        return ExitCode.SETTINGS
    try:
        if loaded.settings.pass_credentials:
            # The first one was started without them.
            seed.close()
            seed = Seed(os.environ, pass_credentials=True)
        zygotes = _zygotes(seed, plans)
    except OSError as error:
        complain(f"no process for the handlers can be started: {error}")
        return ExitCode.FAILED

    from jobfleet.supervisor.service import serve  # noqa: PLC0415

    return serve(loaded, plans, zygotes, os.environ, read, seed=seed, hangup=hangup)


def _zygotes(seed: Seed, plans: "list[PoolPlan]") -> "list[Spawned]":
    """One zygote for each pool, all of them asked to import its handlers."""
    from jobfleet.supervisor.loading import send_load  # noqa: PLC0415
    from jobfleet.supervisor.process import become_subreaper  # noqa: PLC0415

    become_subreaper()
    zygotes = [seed.spawn() for _ in plans]
    for zygote, plan in zip(zygotes, plans, strict=True):
        try:
            send_load(zygote, plan)
        except OSError:
            # It is dead already; the supervisor hears of that and says why.
            continue
    return zygotes


def complain(*problems: str) -> None:
    """Say on stderr why the command cannot do what it was asked."""
    for problem in problems:
        print(f"jobfleet: {problem}", file=sys.stderr)
