"""The user task that a task listener's job is about."""

import msgspec

_Key = int | str | None


class UserTask(msgspec.Struct, kw_only=True, rename="camel"):
    """A user task at the moment of its transition, corrections of earlier listeners included."""

    action: str = ""
    """What set the transition off, such as `complete` or `assign`."""
    assignee: str | None = None
    candidate_groups: tuple[str, ...] = ()
    candidate_users: tuple[str, ...] = ()
    changed_attributes: tuple[str, ...] = ()
    """The attributes that the transition changes, as the engine names them."""
    due_date: str | None = None
    follow_up_date: str | None = None
    _form_key: _Key = msgspec.field(default=None, name="formKey")
    priority: int | None = None
    _user_task_key: _Key = msgspec.field(default=None, name="userTaskKey")

    @property
    def key(self) -> str:
        """The key of the user task; empty when the engine sent none."""
        return "" if self._user_task_key is None else str(self._user_task_key)

    @property
    def form_key(self) -> str | None:
        """The key of its form, if it has one."""
        return None if self._form_key is None else str(self._form_key)
