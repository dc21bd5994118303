"""Reads the plain command lines of `jobfleet run`; what is not plain goes to the option library."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KeyPath = tuple[str, ...]

# The options of `run` and the settings that they set.
RUN_OPTIONS: "Mapping[str, KeyPath]" = {
    "--engine": ("engine", "url"),
    "--processes": ("processes",),
    "--slots": ("slots",),
    "--socket": ("socket",),
    "--name": ("name",),
    "--grace": ("grace",),
    "--log-format": ("log_format",),
}
CONFIG_OPTION = "--config"


class RunArguments:
    """What was given to `run`, unchecked."""

    def __init__(self, handlers: "Sequence[str]", options: "Mapping[KeyPath, str]", config: "str | None") -> None:
        self.handlers = list(handlers)
        self.options = dict(options)
        self.config = config

    def values(self) -> "dict[KeyPath, object]":
        """The settings that were given."""
        given: dict[KeyPath, object] = dict(self.options)
        if self.handlers:
            given["handlers",] = self.handlers
        return given


def parse(arguments: "Sequence[str]") -> "RunArguments | None":
    """The arguments, or None when anything about them needs an explanation."""
    handlers: list[str] = []
    options: dict[KeyPath, str] = {}
    config: str | None = None
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-"):
            handlers.append(argument)
            continue
        name, equals, value = argument.partition("=")
        if name not in RUN_OPTIONS and name != CONFIG_OPTION:
            return None
        if not equals:
            value = next(rest, "-")
        if value.startswith("-") or not value:
            return None
        if name == CONFIG_OPTION:
            config = value
        else:
            options[RUN_OPTIONS[name]] = value
    return RunArguments(handlers, options, config)
