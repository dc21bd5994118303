"""What a path on the command line stands for: files, folders, dotted modules, and the names of their modules.

Names and `sys.path`:

- A file outside of any package is a module named after itself, like a script; its folder is searched first, so it can
  import its neighbours. A second file of that name, or one named like an installed module, gets a name with a suffix.
- A file inside a package (its folder has an `__init__.py`) has its full dotted name; the folder that holds the
  outermost package is searched first. Relative imports work.
- A folder with `__init__.py` is that package with all its modules.
- A folder without is a package too, named after the folder; its files import each other relatively or by bare name.
- Anything else is a dotted module, found from the current folder.

The current folder is searched next, before what is installed. None of these folders hides a module of the standard
library.

Of a folder, tests (`test_*.py`, `*_test.py`, `conftest.py`), `setup.py` and `__main__.py` are left out.
"""

import difflib
import importlib.util
import os
import re
import sys
import zlib
from dataclasses import dataclass, field

from jobfleet.handlers.errors import LoadError
from jobfleet.handlers.finder import FINDER

_LEFT_OUT = re.compile(r"test_.*\.py|.*_test\.py|conftest\.py|setup\.py|__main__\.py")


@dataclass
class Target:
    """One path as it was given, and what has to be imported for it."""

    given: str
    modules: list[str] = field(default_factory=list)
    search_first: list[str] = field(default_factory=list)
    search_last: list[str] = field(default_factory=list)


def resolve(given: str) -> Target:
    """Find out what `given` stands for, and reserve the names of its modules. Raises LoadError."""
    path = os.path.abspath(given)
    if os.path.isdir(path):
        return _folder(given, path)
    if os.path.isfile(path):
        return _file(given, path)
    if os.sep in given or given.endswith(".py"):
        raise LoadError(f"{given} does not exist; {_nearest(path)}", path=given)
    if not all(part.isidentifier() for part in given.split(".")):
        raise LoadError(f"{given!r} is neither a file, nor a folder, nor the name of a module; correct it", path=given)
    return Target(given, [given])


def search(targets: list[Target]) -> None:
    """Extend `sys.path` as the targets need it; earlier targets are searched first, the current folder after them."""
    first = [*(folder for target in targets for folder in target.search_first), os.getcwd()]
    last = [folder for target in targets for folder in target.search_last]
    new = [folder for folder in dict.fromkeys(first) if folder not in sys.path]
    sys.path[:0] = new
    new += [folder for folder in dict.fromkeys(last) if folder not in sys.path]
    sys.path.extend(folder for folder in new if folder not in sys.path)
    FINDER.searched(new)


def _file(given: str, path: str) -> Target:
    if not path.endswith(".py"):
        raise LoadError(f"{given} is not a Python file; give one that ends in .py, a folder or a module", path=given)
    if os.path.exists(os.path.join(os.path.dirname(path), "__init__.py")):
        root, name = _in_package(path)
        FINDER.own(name, path)
        return Target(given, [name], [root])
    known = FINDER.name_of(path)
    if known is None:
        known = _free_name(os.path.basename(path)[: -len(".py")], path)
        FINDER.reserve_file(known, path)
    return Target(given, [known], [os.path.dirname(path)])


def _folder(given: str, path: str) -> Target:
    if os.path.exists(os.path.join(path, "__init__.py")):
        root, package = _in_package(os.path.join(path, "__init__.py"))
        target = Target(given, [package], [root])
    else:
        package = _free_name(os.path.basename(path), path)
        FINDER.reserve_folder(package, path)
        target = Target(given, [], [path], [os.path.dirname(path)])
    for file, dotted in _files_below(path, package):
        FINDER.own(dotted, file)
        target.modules.append(FINDER.name_of(file) or dotted)
    if not target.modules:
        raise LoadError(f"{given} holds no Python file; give a folder with handler modules", path=given)
    return target


def _files_below(folder: str, package: str) -> list[tuple[str, str]]:
    """`(file, dotted name)` of the modules of `folder` and of the packages inside it."""
    found: list[tuple[str, str]] = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        dotted = f"{package}.{entry.name.removesuffix('.py')}"
        if entry.is_dir() and os.path.exists(os.path.join(entry.path, "__init__.py")):
            found.append((os.path.join(entry.path, "__init__.py"), dotted))
            found += _files_below(entry.path, dotted)
        elif entry.name.endswith(".py") and entry.name != "__init__.py" and not _LEFT_OUT.fullmatch(entry.name):
            found.append((entry.path, dotted))
    return found


def _in_package(path: str) -> tuple[str, str]:
    """`(folder that holds the outermost package, dotted name)` of a file inside a package."""
    folder, file = os.path.split(path)
    names = [] if file == "__init__.py" else [file[: -len(".py")]]
    while os.path.exists(os.path.join(folder, "__init__.py")):
        folder, name = os.path.split(folder)
        names.insert(0, name)
    outermost = os.path.realpath(os.path.join(folder, names[0]))
    loaded = sys.modules.get(names[0])
    places = [outermost] if loaded is None else [os.path.realpath(place) for place in getattr(loaded, "__path__", [])]
    places.append(FINDER.folder_of(names[0], outermost))
    if any(place != outermost for place in places) or len(places) == 1:
        other = next((place for place in places if place != outermost), "built in")
        raise LoadError(
            f"{path} belongs to package {names[0]!r}, but there is another module of that name ({other}); "
            "rename one of them",
            path=path,
        )
    return folder, ".".join(names)


def _free_name(wanted: str, path: str) -> str:
    """A module name that nothing else answers to: `wanted` if it can be had."""
    name = re.sub(r"\W", "_", wanted)
    if not name or name[0].isdigit():
        name = f"_{name}"
    return f"{name}_{zlib.crc32(os.fsencode(path)):08x}" if _taken(name, path) else name


def _taken(name: str, path: str) -> bool:
    if name in sys.modules or name in sys.stdlib_module_names:
        return True
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return True
    if spec is None:
        return False
    places = [spec.origin] if spec.origin is not None else list(spec.submodule_search_locations or [])
    return os.path.realpath(path) not in [os.path.realpath(place) for place in places]


def _nearest(path: str) -> str:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        return f"there is no folder {folder}"
    near = difflib.get_close_matches(os.path.basename(path), os.listdir(folder), n=1)
    return f"did you mean {near[0]}?" if near else f"nothing in {folder} has a similar name"
