"""Which proxy counts for which address."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from jobfleet.config import SettingsError, load_settings
from jobfleet.config.proxy import is_exempt, parse_proxy, proxy_of_environment, shown_proxy

HTTP = "http://engine.example.com:8080"
HTTPS = "https://engine.example.com"


@pytest.mark.parametrize(
    ("environ", "url", "expected"),
    [
        ({"HTTPS_PROXY": "http://p:1"}, HTTPS, ("HTTPS_PROXY", "http://p:1")),
        ({"HTTPS_PROXY": "http://p:1"}, HTTP, None),
        ({"http_proxy": "http://p:1"}, HTTP, ("http_proxy", "http://p:1")),
        ({"http_proxy": "http://low:1", "HTTP_PROXY": "http://high:1"}, HTTP, ("http_proxy", "http://low:1")),
        ({"ALL_PROXY": "p:1"}, HTTPS, ("ALL_PROXY", "http://p:1")),
        ({"all_proxy": "http://a:1", "HTTPS_PROXY": "http://p:1"}, HTTPS, ("HTTPS_PROXY", "http://p:1")),
        ({"HTTPS_PROXY": "", "ALL_PROXY": "http://a:1"}, HTTPS, ("ALL_PROXY", "http://a:1")),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com"}, HTTPS, None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "other.com"}, HTTPS, ("HTTPS_PROXY", "http://p:1")),
        ({"HTTP_PROXY": "http://p:1"}, "http://localhost:8080", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://127.0.0.5:8080", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://[::1]:8080", None),
        ({}, HTTPS, None),
    ],
)
def test_variable_that_counts(environ: Mapping[str, str], url: str, expected: tuple[str, str] | None) -> None:
    found = proxy_of_environment(url, environ)
    assert (found and (found[0], found[1].reveal())) == expected


@pytest.mark.parametrize(
    ("entries", "host", "port", "exempt"),
    [
        ("*", "anything", 1, True),
        ("example.com", "example.com", 443, True),
        ("example.com", "engine.example.com", 443, True),
        (".example.com", "engine.example.com", 443, True),
        (".example.com", "example.com", 443, True),
        ("*.example.com", "engine.example.com", 443, True),
        ("example.com", "notexample.com", 443, False),
        ("EXAMPLE.com", "Engine.Example.COM", 443, True),
        ("example.com:8443", "example.com", 8443, True),
        ("example.com:8443", "example.com", 443, False),
        ("a.com, b.com c.com", "c.com", 80, True),
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("10.0.0.0/8", "ten.example.com", 80, False),
        ("10.1.2.3", "10.1.2.3", 80, True),
        ("10.1.2.3:81", "10.1.2.3", 80, False),
        ("2001:db8::/32", "2001:db8::7", 80, True),
        ("[::1]:80", "::1", 80, True),
        ("", "example.com", 80, False),
        ("nonsense:port", "example.com", 80, False),
    ],
)
def test_hosts_that_need_no_proxy(entries: str, host: str, port: int, exempt: bool) -> None:
    assert is_exempt(host, port, entries) is exempt


@pytest.mark.parametrize(
    "text", ["socks5://u:hunter2@p:1", "https://u:hunter2@p", "http://u:hunter2@p:port", "http://"]
)
def test_proxy_that_cannot_be_used_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(ValueError, match="expected http://") as caught:
        parse_proxy(text)
    assert "hunter2" not in str(caught.value)


def test_password_of_a_proxy_is_not_shown() -> None:
    proxy = parse_proxy("u:hunter2@proxy")
    assert shown_proxy(proxy) == "proxy:80"
    assert proxy.reveal() == "http://u:hunter2@proxy:80"


def settings_proxy(environ: Mapping[str, str]) -> str | None:
    proxy = load_settings({}, environ).settings.engine.proxy
    return proxy.reveal() if proxy else None


def test_setting_wins_over_the_usual_variables() -> None:
    environ = {"JOBFLEET_ENGINE": f"camunda+{HTTPS}", "HTTPS_PROXY": "http://p:1"}
    assert settings_proxy(environ) == "http://p:1"
    assert settings_proxy(environ | {"JOBFLEET_ENGINE_PROXY": "other:2"}) == "http://other:2"
    assert settings_proxy(environ | {"JOBFLEET_ENGINE_PROXY": "none"}) is None


@pytest.mark.parametrize(
    ("more", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "login.test"}, None),
        ({"HTTPS_PROXY": "http://p:1", "JOBFLEET_ENGINE_PROXY": "none"}, None),
        ({"HTTPS_PROXY": "http://p:1", "JOBFLEET_ENGINE_PROXY": "http://o:2"}, "http://o:2"),
        ({"JOBFLEET_ENGINE_PROXY": "http://o:2", "NO_PROXY": ".test"}, None),
    ],
)
def test_tokens_are_fetched_through_the_same_proxy(more: dict[str, str], proxy: str | None) -> None:
    environ = {
        "JOBFLEET_ENGINE": "camunda+http://127.0.0.1:1",
        "CAMUNDA_CLIENT_ID": "x",
        "CAMUNDA_CLIENT_SECRET": "y",
        "CAMUNDA_OAUTH_URL": "https://login.test/token",
    }
    found = load_settings({}, environ | more).token_proxy
    assert (found.reveal() if found else None) == proxy


def test_embedded_engine_is_reached_without_a_proxy() -> None:
    assert settings_proxy({"ALL_PROXY": "http://p:1"}) is None


def test_wrong_proxy_names_its_variable() -> None:
    environ = {"JOBFLEET_ENGINE": f"camunda+{HTTPS}"}
    for name in ("HTTPS_PROXY", "JOBFLEET_ENGINE_PROXY"):
        with pytest.raises(SettingsError, match=f"{name}: .*socks5.*not supported"):
            load_settings({}, environ | {name: "socks5://p:1"})
