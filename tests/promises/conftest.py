"""What the promises are judged with: engines, fleets, and a token server where credentials matter."""

from __future__ import annotations

from tests.auth.conftest import _login_server, login
from tests.system.conftest import engine, run_fleet, shared

__all__ = ["_login_server", "engine", "login", "run_fleet", "shared"]
