"""What is wrong with settings, with place and remedy."""

from __future__ import annotations


class SettingsError(Exception):
    """The settings cannot be used; `problems` has one sentence for each reason, with its place."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
