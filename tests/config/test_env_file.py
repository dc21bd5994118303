"""The `.env` file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from jobfleet.config import SettingsError, load_settings


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = ".env", mode: int = 0o600) -> Path:
    file = Path(name)
    file.write_text(text)
    file.chmod(mode)
    return file


def test_it_stands_between_the_environment_and_the_file_of_settings() -> None:
    Path("fleet.toml").write_text('name = "toml"\ngrace = "1s"\nslots = 1\n')
    file = write('# comment\nexport JOBFLEET_NAME="dotenv"\nJOBFLEET_GRACE=2s\nCAMUNDA_WORKER_TIMEOUT=7000\n')
    loaded = load_settings({}, {"JOBFLEET_NAME": "environment"})
    settings = loaded.settings
    assert (settings.name, settings.grace.s, settings.slots, settings.defaults.lease.s) == ("environment", 2, 1, 7)
    assert (loaded.file, loaded.env_file) == (Path("fleet.toml"), file)


def test_environment_of_the_process_stays_as_it_is() -> None:
    write("JOBFLEET_NAME=dotenv\n")
    before = dict(os.environ)
    load_settings({}, {})
    assert dict(os.environ) == before


@pytest.mark.parametrize("name", ["JOBFLEET_ENV_FILE", "CAMUNDA_LOAD_ENVFILE"])
def test_another_file_can_be_named_and_the_own_one_switched_off(name: str) -> None:
    write("JOBFLEET_NAME=own\n")
    write("JOBFLEET_NAME=other\n", "other.env")
    assert load_settings({}, {name: "other.env"}).settings.name == "other"
    assert load_settings({}, {name: "false"}).settings.name == "default"
    assert load_settings({}, {name: "true"}).settings.name == "own"


def test_it_may_name_the_file_of_settings() -> None:
    write("JOBFLEET_CONFIG=here.toml\n")
    Path("here.toml").write_text('name = "here"\n')
    assert load_settings({}, {}).settings.name == "here"


def test_mistakes_name_file_line_and_variable() -> None:
    write("JOBFLEET_NAME=x\nwhat is this?\n")
    with pytest.raises(SettingsError, match=r"\.env:2: expected NAME=value"):
        load_settings({}, {})
    write("JOBFLEET_GRACE=soon\n")
    with pytest.raises(SettingsError, match=r"\.env: JOBFLEET_GRACE: expected a duration"):
        load_settings({}, {})
    write("CAMUNDA_WORKER_TIMEOUT=soon\n")
    with pytest.raises(SettingsError, match=r"\.env: CAMUNDA_WORKER_TIMEOUT: expected a number"):
        load_settings({}, {})


def test_file_that_is_named_and_missing_is_told_of() -> None:
    with pytest.raises(SettingsError, match=r"absent\.env: cannot be read"):
        load_settings({}, {"JOBFLEET_ENV_FILE": "absent.env"})


def test_misspelt_name_in_it_is_noted() -> None:
    write("CAMUNDA_CLIENT_SECERT=x\n")
    assert load_settings({}, {}).notes == [
        ".env: CAMUNDA_CLIENT_SECERT is not a setting; the nearest is CAMUNDA_CLIENT_SECRET"
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".env", "CAMUNDA_CLIENT_ID=a\nCAMUNDA_CLIENT_SECRET=hunter2\n"),
        (".env", "JOBFLEET_ENGINE=camunda+http://a:hunter2@host\n"),
        ("fleet.toml", '[auth]\nclient_id = "a"\nclient_secret = "hunter2"\n'),
    ],
)
def test_file_with_a_secret_that_others_can_read_is_noted(name: str, text: str) -> None:
    file = write(text, name, 0o644)
    assert load_settings({}, {}).notes == [f"{file} holds a secret and other users may read it; chmod 600 {file}"]
    file.chmod(0o600)
    assert load_settings({}, {}).notes == []


def test_password_on_the_command_line_is_noted_without_showing_it() -> None:
    (note,) = load_settings({("engine", "url"): "camunda+http://a:hunter2@host"}, {}).notes
    assert "every user of this host can read the password in --engine" in note
    assert "hunter2" not in note
