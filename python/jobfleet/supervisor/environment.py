"""The environment of zygotes and workers. Imports nothing, since the first zygote starts before everything else."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_ENGINE_PREFIXES = ("CAMUNDA_", "ZEEBE_", "JOBFLEET_")
_SECRET_WORDS = (
    *("SECRET", "PASSWORD", "PASSPHRASE", "PASSWD", "AUTHORIZATION", "CREDENTIAL", "_TOKEN", "TLS_KEY"),
    *("PRIVATE_KEY", "API_KEY", "APIKEY", "JWT", "BEARER", "ENGINE_PROXY"),
)

# Names that read like the above and hold no secret.
_HARMLESS = frozenset(
    {
        "CAMUNDA_TOKEN_AUDIENCE",
        "CAMUNDA_TOKEN_CACHE_DIR",
        "CAMUNDA_TOKEN_DISK_CACHE_DISABLE",
        "CAMUNDA_MTLS_KEY_PATH",
        "CAMUNDA_AUTHORIZATION_SERVER_URL",
        "CAMUNDA_CREDENTIALS_SCOPES",
        "CAMUNDA_TOKEN_RESOURCE",
        "CAMUNDA_TOKEN_SCOPE",
        "JOBFLEET_AUTH_TOKEN_FILE",
        "JOBFLEET_AUTH_TOKEN_URL",
        "JOBFLEET_ENGINE_TLS_KEY_FILE",
        "JOBFLEET_PASS_CREDENTIALS",
        "ZEEBE_AUTHORIZATION_SERVER_URL",
        "ZEEBE_TOKEN_RESOURCE",
        "ZEEBE_TOKEN_SCOPE",
        "ZEEBE_TOKEN_AUDIENCE",
    }
)

# With these a process would speak for the supervisor's systemd unit.
_SERVICE_NAMES = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"})


def is_secret_name(name: str) -> bool:
    """Whether an environment variable of this name holds credentials of the engine."""
    if name in _HARMLESS or not name.startswith(_ENGINE_PREFIXES):
        return False
    return any(word in name for word in _SECRET_WORDS)


def worker_environment(environ: "Mapping[str, str]", pass_credentials: bool = False) -> dict[str, str]:
    """What zygotes and workers inherit: everything but the engine's credentials, unless `pass_credentials`."""
    return {
        name: value
        for name, value in environ.items()
        if name not in _SERVICE_NAMES and (pass_credentials or not (is_secret_name(name) or _has_userinfo(name, value)))
    }


def _has_userinfo(name: str, value: str) -> bool:
    """Whether an address of the engine carries `user:password@`."""
    return name.startswith(_ENGINE_PREFIXES) and "://" in value and "@" in value
