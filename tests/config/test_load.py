"""Settings from all sources, their precedence, and what is said about wrong ones."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path

import pytest
from jobfleet.config import SettingsError, load_settings, plan_pools
from jobfleet.config.durations import ByteSize, Duration
from jobfleet.config.secret import Secret
from jobfleet.config.shape import KeyPath, bounds, description, environment_name, setting_paths
from jobfleet.handlers.decorator import SHORTEST_HOLD_MS, SHORTEST_LEASE_MS


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str) -> Path:
    file = Path("fleet.toml")
    file.write_text(text)
    return file


def problems(text: str, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings({}, environ, write(text))
    return caught.value.problems


def test_first_source_wins_setting_by_setting() -> None:
    file = write('name = "file"\nslots = 1\nprocesses = 1\ngrace = "1s"\n')
    environ = {"JOBFLEET_NAME": "environment", "JOBFLEET_SLOTS": "2", "JOBFLEET_PROCESSES": "2"}
    settings = load_settings({("name",): "option", ("slots",): "3"}, environ, file).settings
    assert (settings.name, settings.slots, settings.processes, settings.grace.s) == ("option", 3, 2, 1)
    assert settings.start_timeout == Duration(60)


def test_every_setting_can_be_given_in_the_environment() -> None:
    samples: dict[KeyPath, tuple[str, object]] = {
        ("name",): ("orders", "orders"),
        ("handlers",): ("a.py, pkg.mod", ["a.py", "pkg.mod"]),
        ("processes",): ("auto", "auto"),
        ("slots",): ("7", 7),
        ("preload",): ("false", False),
        ("grace",): ("1m30s", Duration(90)),
        ("start_timeout",): ("250ms", Duration(0.25)),
        ("time_limit",): ("30s", Duration(30)),
        ("hard_time_limit",): ("40s", Duration(40)),
        ("stalled_timeout",): ("0", Duration(0)),
        ("stopped_timeout",): ("2m", Duration(120)),
        ("look_every",): ("100ms", Duration(0.1)),
        ("poison_deaths",): ("5", 5),
        ("deaths_cost_retries",): ("true", True),
        ("recycle_jobs",): ("500", 500),
        ("recycle_age",): ("12h", Duration(12 * 3600)),
        ("recycle_growth",): ("1GiB", ByteSize(2**30)),
        ("socket",): ("/run/x.sock", Path("/run/x.sock")),
        ("log_format",): ("json", "json"),
        ("log_level",): ("warning", "warning"),
        ("watch",): ("true", True),
        ("dumpable",): ("true", True),
        ("pass_credentials",): ("1", True),
        ("engine", "url"): ("camunda+https://host/base", "camunda+https://host/base"),
        ("engine", "authorization"): ("Bearer x", Secret("Bearer x")),
        ("engine", "hold"): ("10", Duration(10)),
        ("engine", "worker_name"): ("bank-7", "bank-7"),
        ("engine", "byte_budget"): ("1MiB", ByteSize(2**20)),
        ("engine", "outcome_connections_max"): ("64", 64),
        ("engine", "backpressure"): ("legacy", "legacy"),
        ("engine", "fencing"): ("false", False),
        ("engine", "late_completions"): ("false", False),
        ("engine", "poll_jitter"): ("2s", Duration(2)),
        ("engine", "http2"): ("never", "never"),
        ("engine", "proxy"): ("http://proxy:3128", Secret("http://proxy:3128")),
        ("engine", "connection_max_age"): ("5m", Duration(300)),
        ("engine", "tls", "ca_file"): ("/etc/ca.pem", Path("/etc/ca.pem")),
        ("engine", "tls", "ca_pem"): ("ca", "ca"),
        ("engine", "tls", "cert_file"): ("/etc/cert.pem", Path("/etc/cert.pem")),
        ("engine", "tls", "cert_pem"): ("cert", "cert"),
        ("engine", "tls", "key_file"): ("/etc/key.pem", Path("/etc/key.pem")),
        ("engine", "tls", "key_pem"): ("key", Secret("key")),
        ("engine", "tls", "key_passphrase"): ("words", Secret("words")),
        ("engine", "tls", "server_name"): ("zeebe", "zeebe"),
        ("auth", "strategy"): ("header", "header"),
        ("auth", "client_id"): ("me", "me"),
        ("auth", "client_secret"): ("s3cret", Secret("s3cret")),
        ("auth", "client_secret_file"): ("/run/secret", Path("/run/secret")),
        ("auth", "token_url"): ("https://login/token", "https://login/token"),
        ("auth", "audience"): ("api", "api"),
        ("auth", "scope"): ("jobs", "jobs"),
        ("auth", "resource"): ("urn:api", "urn:api"),
        ("auth", "username"): ("ada", "ada"),
        ("auth", "password"): ("pass", Secret("pass")),
        ("auth", "password_file"): ("/run/pass", Path("/run/pass")),
        ("auth", "token_file"): ("/run/token", Path("/run/token")),
        ("auth", "provider"): ("bank.Login", "bank.Login"),
        ("auth", "cache_dir"): ("/var/cache/x", Path("/var/cache/x")),
        ("auth", "cache"): ("false", False),
        ("defaults", "lease"): ("5m", Duration(300)),
        ("defaults", "max_jobs"): ("32", 32),
        ("defaults", "tenants"): ("a, b", ["a", "b"]),
        ("defaults", "tenant_filter"): ("assigned", "assigned"),
    }
    assert set(samples) == set(setting_paths())
    environ = {environment_name(path): text for path, (text, _) in samples.items()}
    settings = load_settings({}, environ).settings
    for path, (_, expected) in samples.items():
        assert attrgetter(".".join(path))(settings) == expected


def test_time_limits_of_a_pool_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text('time_limit = "30s"\n[pools.mail]\nhandlers = ["mail.py"]\nhard_time_limit = "10s"\n')
    with pytest.raises(SettingsError, match=r"pool `mail`: `hard_time_limit` \(10s\) must be longer"):
        plan_pools(load_settings({}, {}, file).settings)


def test_every_setting_is_described() -> None:
    assert [path for path in setting_paths() if not description(path)] == []


def test_number_of_a_file_is_not_read_from_text() -> None:
    assert problems('slots = "4"\n') == ["fleet.toml:1: `slots`: expected a whole number of at least 1, not '4'"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("proceses = 2\n", "fleet.toml:1: unknown key `proceses`; the nearest valid key is `processes`"),
        (
            '# fleet\n\n[engine]\nbackpresure = "legacy"\n',
            "fleet.toml:4: unknown key `backpresure` in [engine]; the nearest valid key is `backpressure`",
        ),
        (
            '[pools.mail]\nhandlers = [\n  "a.py",\n]\nslot = 3\n',
            "fleet.toml:5: unknown key `slot` in [pools.mail]; the nearest valid key is `slots`",
        ),
        ("engine = 3\n", "fleet.toml:1: `engine` must be a table, written [engine]"),
        ('preload = "yes"\n', "fleet.toml:1: `preload`: expected true or false, not 'yes'"),
        ("processes = 0\n", 'fleet.toml:1: `processes`: expected a whole number of at least 1 or "auto", not 0'),
        ("name = 'a/b'\n", "fleet.toml:1: `name`: expected a name of letters, digits, `.`, `_` and `-`, not 'a/b'"),
        ("log_format = 'xml'\n", 'fleet.toml:1: `log_format`: expected "text" or "json", not \'xml\''),
        ("handlers = 'a.py'\n", "fleet.toml:1: `handlers`: expected a list of texts, not 'a.py'"),
        ("[pools.mail]\nslots = 2\n", "fleet.toml:2: pool `mail` has no `handlers`"),
        (
            "look_every = '10s'\n",
            "fleet.toml:1: `look_every`: expected a duration from 20ms to 1s, not '10s'",
        ),
        (
            "[engine]\nhold = 0\n",
            "fleet.toml:2: `engine.hold`: expected a duration of at least 50ms, not 0",
        ),
        (
            "[defaults]\nlease = '0s'\n",
            "fleet.toml:2: `defaults.lease`: expected a duration of at least 100ms, not '0s'",
        ),
        (
            "[pools.mail]\nhandlers = ['a.py']\nstart_timeout = '0'\n",
            "fleet.toml:3: `pools.mail.start_timeout`: expected a duration of at least 100ms, not '0'",
        ),
        ("[engine]\nauthorization = 3\n", "fleet.toml:2: `engine.authorization`: expected text"),
    ],
)
def test_mistake_in_a_file_is_named_with_its_line(text: str, problem: str) -> None:
    assert problems(text) == [problem]


def test_settings_and_handlers_have_the_same_shortest_lease_and_hold() -> None:
    shortest = [bounds(path).least.ms for path in (("defaults", "lease"), ("engine", "hold"))]  # type: ignore[union-attr]
    assert shortest == [SHORTEST_LEASE_MS, SHORTEST_HOLD_MS]


def test_all_mistakes_are_told_at_once() -> None:
    assert len(problems("slots = 0\ngrace = -1\npreload = 3\n")) == 3


def test_mistake_within_an_inline_table_has_the_line_of_the_statement() -> None:
    (problem,) = problems('\n\npools = { mail = { handlers = ["a.py"], slot = 1 } }\n')
    assert problem.startswith("fleet.toml:3: unknown key `slot` in [pools.mail]")


def test_what_is_not_toml_is_named_with_its_line() -> None:
    (problem,) = problems('name = "x"\nslots = = 3\n')
    assert problem.startswith("fleet.toml:2: not valid TOML")


def test_file_that_does_not_exist_is_named() -> None:
    with pytest.raises(SettingsError, match=r"absent\.toml: cannot be read"):
        load_settings({}, {"JOBFLEET_CONFIG": "absent.toml"})


def test_file_of_the_folder_is_read_without_being_named() -> None:
    write('name = "found"\n')
    loaded = load_settings({}, {})
    assert (loaded.settings.name, loaded.file, loaded.env_file) == ("found", Path("fleet.toml"), None)


def test_wrong_value_of_the_environment_names_the_variable() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({}, {"JOBFLEET_GRACE": "soon"})
    assert caught.value.problems[0].startswith("JOBFLEET_GRACE: expected a duration")


def test_unknown_variable_is_noted_with_the_nearest_one() -> None:
    loaded = load_settings({}, {"JOBFLEET_PROCESES": "2"})
    assert loaded.notes == ["JOBFLEET_PROCESES is not a setting; the nearest is JOBFLEET_PROCESSES"]


def test_secret_is_in_no_text_of_the_settings() -> None:
    settings = load_settings({}, {"JOBFLEET_ENGINE_AUTHORIZATION": "Bearer hunter2"}).settings
    assert settings.engine.authorization is not None
    assert settings.engine.authorization.reveal() == "Bearer hunter2"
    assert "hunter2" not in f"{settings} {settings!r} {settings.engine.authorization}"


def test_password_of_a_wrong_address_is_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({}, {"JOBFLEET_ENGINE": "http://me:hunter2@host"})
    assert "hunter2" not in str(caught.value)


def test_paths_of_a_file_are_relative_to_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    (folder / "jobs").mkdir(parents=True)
    (folder / "fleet.toml").write_text('handlers = ["a.py", "jobs", "package.module"]\nsocket = "run.sock"\n')
    settings = load_settings({}, {}, folder / "fleet.toml").settings
    assert settings.handlers == [str(folder / "a.py"), str(folder / "jobs"), "package.module"]
    assert settings.socket == folder / "run.sock"


def test_pool_inherits_what_it_does_not_say() -> None:
    file = write(
        'handlers = ["a.py"]\nprocesses = 3\nslots = 9\nstart_timeout = "5s"\n'
        '[pools.mail]\nhandlers = ["m.py"]\nprocesses = 1\npreload = false\n'
    )
    default, mail = plan_pools(load_settings({}, {}, file).settings)
    assert (default.name, default.processes, default.slots, default.preload) == ("default", 3, 9, True)
    assert (mail.name, mail.processes, mail.slots, mail.preload, mail.start_timeout_s) == ("mail", 1, 9, False, 5)


def test_nothing_to_run_is_a_mistake() -> None:
    with pytest.raises(SettingsError, match="no handlers to run"):
        plan_pools(load_settings({}, {}).settings)


def test_pool_may_not_take_the_name_of_the_fleets_own_handlers() -> None:
    file = write('handlers = ["a.py"]\n[pools.default]\nhandlers = ["b.py"]\n')
    with pytest.raises(SettingsError, match=r"rename \[pools\.default\]"):
        plan_pools(load_settings({}, {}, file).settings)
