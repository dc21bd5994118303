"""Settings: one typed model, read from the command line, the environment and `fleet.toml`."""

from jobfleet.config.errors import SettingsError
from jobfleet.config.load import Loaded, load_settings, plan_pools
from jobfleet.config.model import EngineSettings, PoolPlan, PoolSettings, Settings
from jobfleet.config.secret import Secret

__all__ = [
    "EngineSettings",
    "Loaded",
    "PoolPlan",
    "PoolSettings",
    "Secret",
    "Settings",
    "SettingsError",
    "load_settings",
    "plan_pools",
]
