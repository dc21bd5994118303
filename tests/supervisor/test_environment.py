"""What workers inherit."""

from __future__ import annotations

import pytest
from jobfleet.config.camunda_env import _TABLE
from jobfleet.config.secret import Secret
from jobfleet.config.shape import bare_type, environment_name, setting_paths
from jobfleet.supervisor.environment import is_secret_name, worker_environment


@pytest.mark.parametrize(
    "name",
    [
        "CAMUNDA_CLIENT_SECRET",
        "CAMUNDA_CLIENT_AUTH_CLIENTSECRET",
        "CAMUNDA_BASIC_AUTH_PASSWORD",
        "CAMUNDA_MTLS_KEY",
        "CAMUNDA_MTLS_KEY_PASSPHRASE",
        "ZEEBE_CLIENT_SECRET",
        "ZEEBE_CLIENT_AUTH_CLIENTSECRET",
        "CAMUNDA_CONSOLE_CLIENT_SECRET",
        "CAMUNDA_ACCESS_TOKEN",
        "CAMUNDA_API_KEY",
        "CAMUNDA_MTLS_PRIVATE_KEY",
        "JOBFLEET_ENGINE_AUTHORIZATION",
        "JOBFLEET_ENGINE_TLS_KEY_PEM",
        "JOBFLEET_ENGINE_TLS_KEY_PASSPHRASE",
        "JOBFLEET_ENGINE_PROXY",
        "JOBFLEET_AUTH_CLIENT_SECRET",
        "JOBFLEET_AUTH_PASSWORD",
    ],
)
def test_name_of_a_secret_is_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "CAMUNDA_CLIENT_ID",
        "CAMUNDA_TOKEN_AUDIENCE",
        "CAMUNDA_MTLS_KEY_PATH",
        "JOBFLEET_ENGINE_TLS_KEY_FILE",
        "JOBFLEET_ENGINE_TLS_CA_FILE",
        "JOBFLEET_PASS_CREDENTIALS",
        "JOBFLEET_AUTH_TOKEN_FILE",
        "JOBFLEET_AUTH_TOKEN_URL",
        "ZEEBE_AUTHORIZATION_SERVER_URL",
        "DATABASE_PASSWORD",
        "PATH",
    ],
)
def test_other_names_are_left_alone(name: str) -> None:
    assert not is_secret_name(name)


def test_address_with_a_password_is_a_secret_too() -> None:
    environ = {"JOBFLEET_ENGINE": "camunda+http://me:hunter2@host", "JOBFLEET_NAME": "x", "DATABASE": "pg://a:b@c"}
    assert worker_environment(environ) == {"JOBFLEET_NAME": "x", "DATABASE": "pg://a:b@c"}


def test_workers_cannot_speak_for_the_service() -> None:
    environ = {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "1", "HOME": "/"}
    assert worker_environment(environ, pass_credentials=True) == {"HOME": "/"}


def test_every_setting_that_is_a_secret_is_withheld() -> None:
    secret = [path for path in setting_paths() if Secret in bare_type(path)]
    assert len(secret) >= 3
    assert [path for path in secret if not is_secret_name(environment_name(path))] == []
    camunda = [name for path, names, _ in _TABLE if path in secret for name in names]
    assert [name for name in camunda if not is_secret_name(name)] == []
