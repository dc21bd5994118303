"""The job as a handler sees it: one Struct, decoded once, straight from the engine's bytes."""

from typing import TYPE_CHECKING, Any, Generic

import msgspec

from jobfleet.handlers.log import JobLog
from jobfleet.handlers.state import State
from jobfleet.handlers.usertask import UserTask

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from jobfleet.handlers.context import Context

    T = TypeVar("T", default=dict[str, Any])
    _Context = Context | None
    _Number = int
else:
    from typing import TypeVar

    T = TypeVar("T")
    # The decoder accepts nothing but null for these two, so that no engine can fill them.
    _Context = None
    _Number = None

_Key = int | str | None
"""8.6 sends keys as numbers, later engines as strings."""

_unbound_state = State()


class Job(msgspec.Struct, Generic[T], kw_only=True, eq=False, rename="camel"):
    """A job of the engine. `Job[T]` has variables of type `T`; `Job` alone has them as a dict.

    Every field but `variables` has a default: engines before 8.8, 8.9 and 8.10 leave out what they do not know.
    Enumerations are plain texts, so that a member that is newer than jobfleet is still readable.
    """

    # In the order of the engine's members: the decoder looks for each one where the last one ended.
    _old_key: _Key = msgspec.field(default=None, name="key")
    _job_key: _Key = msgspec.field(default=None, name="jobKey")
    type: str = ""
    _process_instance_key: _Key = msgspec.field(default=None, name="processInstanceKey")
    process_definition_id: str = ""
    """The id of the process in its BPMN model."""
    process_definition_version: int = 0
    _process_definition_key: _Key = msgspec.field(default=None, name="processDefinitionKey")
    element_id: str = ""
    """The id of the element in its BPMN model."""
    _element_instance_key: _Key = msgspec.field(default=None, name="elementInstanceKey")
    custom_headers: dict[str, Any] = msgspec.field(default_factory=dict)
    worker: str = ""
    retries: int = 0
    """Tries left, this one included."""
    deadline: int | None = None
    """End of the lease as it was at activation: milliseconds since 1970 by the engine's clock."""
    variables: T
    tenant_id: str = ""
    kind: str = "BPMN_ELEMENT"
    """BPMN_ELEMENT, EXECUTION_LISTENER, TASK_LISTENER or AD_HOC_SUB_PROCESS; 8.6 tells no other than the first."""
    listener_event_type: str = "UNSPECIFIED"
    """What a listener is told of, such as START, END, ASSIGNING or COMPLETING."""
    user_task: UserTask | None = None
    """The user task of a TASK_LISTENER."""
    tags: tuple[str, ...] = ()
    _root_process_instance_key: _Key = msgspec.field(default=None, name="rootProcessInstanceKey")
    priority: int = 0
    business_id: str | None = None
    physical_tenant_id: str = ""
    _context: _Context = msgspec.field(default=None, name="jobfleet:context")
    _number: _Number = msgspec.field(default=None, name="jobfleet:number")  # type: ignore[assignment]

    @property
    def key(self) -> str:
        """The job's key; empty when the engine sent none."""
        return _text(self._old_key if self._job_key is None else self._job_key)

    @property
    def process_instance_key(self) -> str:
        """The key of the process instance that waits for the job."""
        return _text(self._process_instance_key)

    @property
    def process_definition_key(self) -> str:
        """The key of the deployed process."""
        return _text(self._process_definition_key)

    @property
    def element_instance_key(self) -> str:
        """The key of the element's instance."""
        return _text(self._element_instance_key)

    @property
    def root_process_instance_key(self) -> str | None:
        """The key of the outermost process instance; None where the engine does not tell."""
        return None if self._root_process_instance_key is None else _text(self._root_process_instance_key)

    @property
    def headers(self) -> dict[str, Any]:
        """The task's headers; the same as `custom_headers`."""
        return self.custom_headers

    @property
    def log(self) -> JobLog:
        """Writes records that carry this job's type and key. Outside a worker they go to the logger `jobfleet.job`."""
        return JobLog(self._context, self._number)

    @property
    def state(self) -> State:
        """What the worker's `@on_start` hooks prepared."""
        return _unbound_state if self._context is None else self._context.state

    @property
    def cancelled(self) -> bool:
        """True once the job's outcome is no longer wanted: its lease is lost. Worth a look in a long sync handler."""
        return self._context is not None and self._context.cancelled(self._number)

    def __repr__(self) -> str:
        return f"Job({self.type!r}, key={self.key!r})"


def _text(key: _Key) -> str:
    return "" if key is None else str(key)
