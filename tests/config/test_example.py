"""The example of a settings file names every setting, with its default."""

from __future__ import annotations

import re
from pathlib import Path

from jobfleet.config import PoolSettings, Settings, load_settings
from jobfleet.config.shape import setting_paths

EXAMPLE = Path(__file__).parents[2] / "deploy" / "fleet.toml"


def test_what_it_sets_are_the_defaults() -> None:
    assert load_settings({}, {}, EXAMPLE).settings == Settings()


def test_it_is_valid_with_everything_switched_on(tmp_path: Path) -> None:
    text = re.sub(r"^# (?=\w+ = |\[)", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    (tmp_path / "fleet.toml").write_text(text)
    settings = load_settings({}, {}, tmp_path / "fleet.toml").settings
    assert settings.engine.url == "camunda+http://127.0.0.1:8080"
    assert settings.pools["mail"].processes == 2


def test_it_names_every_setting() -> None:
    named = set(re.findall(r"^(?:# )?(\w+) = ", EXAMPLE.read_text(), flags=re.MULTILINE))
    assert named == {path[-1] for path in setting_paths()} | set(PoolSettings.__struct_fields__)
