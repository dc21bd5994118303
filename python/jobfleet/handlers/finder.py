"""Finds handler modules under the names that loading gave them, and never imports one file twice.

A file can be reachable under two names: a module of the folder `jobs/` is `jobs.mail` to its neighbours' relative
imports and `mail` to their absolute ones. Both must give one module, or its handlers and globals would exist twice.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Loader, MetaPathFinder
else:
    # The import system asks for methods, not for these classes, and their module imports half of the library.
    Loader = MetaPathFinder = object


class HandlerFinder(MetaPathFinder):
    """Knows the modules that loading reserved. Sits in front of the standard path finder."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._packages: dict[str, str] = {}
        self._searched: set[str] = set()

    def reserve_file(self, name: str, file: str) -> None:
        """Module `name` is `file`, wherever `sys.path` points."""
        self._files[name] = file
        self.own(name, file)

    def reserve_folder(self, name: str, folder: str) -> None:
        """Package `name` is `folder`, which has no `__init__.py`."""
        self._folders[name] = folder

    def own(self, name: str, file: str) -> None:
        """`file` is known as `name`; an import under any other name gives the same module."""
        self._names.setdefault(os.path.realpath(file), name)

    def name_of(self, file: str) -> str | None:
        """The name under which `file` is loaded or about to be."""
        return self._names.get(os.path.realpath(file))

    def folder_of(self, package: str, folder: str) -> str:
        """The folder that outermost package `package` is: `folder`, unless another one came first."""
        return self._packages.setdefault(package, folder)

    def searched(self, folders: list[str]) -> None:
        """These folders of `sys.path` are there for handlers; they cannot hide the standard library."""
        self._searched.update(folders)

    def forget(self) -> None:
        """Forget every name, as tests need it; modules that are imported stay."""
        self._files.clear()
        self._folders.clear()
        self._names.clear()
        self._packages.clear()

    def install(self) -> None:
        """Take part in imports of this process. Idempotent."""
        if self not in sys.meta_path:
            finders: list[object] = list(sys.meta_path)
            place = finders.index(PathFinder) if PathFinder in finders else len(finders)
            sys.meta_path.insert(place, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The reserved module, or the one that the file at hand already is."""
        if fullname in self._files:
            return spec_from_file_location(fullname, self._files[fullname])
        if fullname in self._folders:
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [self._folders[fullname]]
            return spec
        if path is None and fullname in sys.stdlib_module_names:
            path = [folder for folder in sys.path if folder not in self._searched]
        spec_found = PathFinder.find_spec(fullname, path, target)
        if spec_found is None or not spec_found.has_location or spec_found.origin is None:
            return spec_found
        owner = self._names.get(os.path.realpath(spec_found.origin))
        if owner is None or owner == fullname:
            return spec_found
        return ModuleSpec(fullname, _SameModule(owner))


class _SameModule(Loader):
    """Gives an existing module a second name."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._owner)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has overwritten the module's own spec with that of its second name.
        module.__spec__ = self._spec


FINDER = HandlerFinder()
