"""Proof that a connector is fit, for `clew check` and for the tests of whoever writes one.

    from clew.testing import connector_tests

    test_billing = connector_tests("billing")

makes one test of every check; `clew check billing --update` writes down what the tools look like.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clew.testing.kit import Finding, Scorecard, Subject, check
    from clew.testing.plugin import connector_tests

__all__ = ["Finding", "Scorecard", "Subject", "check", "connector_tests"]

_PLACES = {
    "clew.testing.kit": ("Finding", "Scorecard", "Subject", "check"),
    "clew.testing.plugin": ("connector_tests",),
}


def __getattr__(name: str) -> Any:
    for place, names in _PLACES.items():
        if name in names:
            return getattr(import_module(place), name)
    raise AttributeError(f"module 'clew.testing' has no attribute {name!r}")
