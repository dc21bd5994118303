"""Certificates: where their settings come from, and how they reach the core."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from jobfleet.auth.make import Credentials
from jobfleet.config import Settings, load_settings
from jobfleet.config.engine_url import parse_engine_url
from jobfleet.config.tls import CAMUNDA_VARIABLES
from jobfleet.supervisor.core import core_settings


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def for_core(settings: Settings) -> dict[str, object]:
    """The engine as the core is told of it."""
    address = parse_engine_url("camunda+https://host")
    return dict(msgspec.json.decode(core_settings(settings, address, "here", Credentials("none")))["engine"])


def test_camundas_variables_name_certificates() -> None:
    environ = {name: f"/{name}" for name in CAMUNDA_VARIABLES}
    tls = for_core(load_settings({}, environ).settings)["tls"]
    assert tls == {setting: f"/{name}" for name, setting in CAMUNDA_VARIABLES.items()}


def test_stronger_source_wins_however_it_spells_a_certificate() -> None:
    Path("fleet.toml").write_text('[engine.tls]\nca_pem = "file"\ncert_pem = "file"\nserver_name = "x"\n')
    environ = {"CAMUNDA_MTLS_CERT": "camunda", "JOBFLEET_ENGINE_TLS_CERT_FILE": "/ours", "CAMUNDA_MTLS_CA_PATH": "/ca"}
    tls = for_core(load_settings({}, environ).settings)["tls"]
    assert tls == {"ca_file": "/ca", "cert_file": "/ours", "server_name": "x"}


def test_files_are_relative_to_the_settings_file(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "fleet.toml").write_text('[engine.tls]\nca_file = "ca.pem"\nkey_file = "/run/key.pem"\n')
    tls = load_settings({}, {}, folder / "fleet.toml").settings.engine.tls
    assert (tls.ca_file, tls.key_file) == (folder / "ca.pem", Path("/run/key.pem"))


def test_the_way_to_the_engine_reaches_the_core() -> None:
    environ = {
        "JOBFLEET_ENGINE": "camunda+https://host",
        "JOBFLEET_ENGINE_HTTP2": "always",
        "JOBFLEET_ENGINE_PROXY": "http://u:p@proxy:3128",
        "JOBFLEET_ENGINE_CONNECTION_MAX_AGE": "5m",
    }
    engine = for_core(load_settings({}, environ).settings)
    assert engine == {
        "kind": "camunda",
        "url": "https://host",
        "tls": {},
        "http2": "always",
        "proxy": "http://u:p@proxy:3128",
        "connection_max_age_ms": 300_000,
    }


def test_keys_are_in_no_text_of_the_settings() -> None:
    environ = {"CAMUNDA_MTLS_KEY": "hunter2", "CAMUNDA_MTLS_KEY_PASSPHRASE": "hunter2"}
    assert "hunter2" not in repr(load_settings({}, environ).settings)
