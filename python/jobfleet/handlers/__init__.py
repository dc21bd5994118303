"""Handlers: what an author writes, and how it is loaded and bound to job data."""

from jobfleet.handlers.errors import HandlerOptionError, LoadError
from jobfleet.handlers.load import Loaded, load
from jobfleet.handlers.spec import HandlerSpec, Strategy

__all__ = ["HandlerOptionError", "HandlerSpec", "LoadError", "Loaded", "Strategy", "load"]
