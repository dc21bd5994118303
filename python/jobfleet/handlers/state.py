"""What a worker process keeps for its handlers."""

from typing import Any


class State:
    """Attributes that `@on_start` hooks set and handlers read as `job.state.NAME`. One per worker process."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"state has no {name!r}; set it in an @on_start hook: state.{name} = ...")

    def __repr__(self) -> str:
        return f"State({', '.join(sorted(vars(self)))})"
