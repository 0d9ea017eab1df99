"""clew packages any third-party API as an MCP server that survives production.

These names are the public interface; everything else may change without notice. They resolve when first used, so that
`import clew` and the command line stay fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clew.auth import schemes
    from clew.auth.schemes import ApiKey, Basic, Bearer, OAuth2
    from clew.core import errors, mail, once, webhooks
    from clew.core.api import Api
    from clew.core.bounds import Bounds
    from clew.core.connector import Connector
    from clew.core.limits import Limit, RateLimitHeaders
    from clew.core.mapping import From
    from clew.core.outcomes import ErrorMap, Rule, Verdict
    from clew.core.pages import CursorPages, GraphQLPages, LinkPages, NextUrlPages, NumberPages, Page
    from clew.core.response import Response
    from clew.core.secret import Secret
    from clew.core.versions import Version
    from clew.core.waits import Reset
    from clew.core.workflow import Flow

__version__ = "0.1.0"

__all__ = [
    "Api",
    "ApiKey",
    "Basic",
    "Bearer",
    "Bounds",
    "Connector",
    "CursorPages",
    "ErrorMap",
    "Flow",
    "From",
    "GraphQLPages",
    "Limit",
    "LinkPages",
    "NextUrlPages",
    "NumberPages",
    "OAuth2",
    "Page",
    "RateLimitHeaders",
    "Reset",
    "Response",
    "Rule",
    "Secret",
    "Verdict",
    "Version",
    "errors",
    "mail",
    "once",
    "schemes",
    "webhooks",
]

_PLACES = {
    "clew.auth.schemes": ("ApiKey", "Basic", "Bearer", "OAuth2"),
    "clew.core.api": ("Api",),
    "clew.core.bounds": ("Bounds",),
    "clew.core.connector": ("Connector",),
    "clew.core.limits": ("Limit", "RateLimitHeaders"),
    "clew.core.mapping": ("From",),
    "clew.core.outcomes": ("ErrorMap", "Rule", "Verdict"),
    "clew.core.pages": ("CursorPages", "GraphQLPages", "LinkPages", "NextUrlPages", "NumberPages", "Page"),
    "clew.core.response": ("Response",),
    "clew.core.secret": ("Secret",),
    "clew.core.versions": ("Version",),
    "clew.core.waits": ("Reset",),
    "clew.core.workflow": ("Flow",),
}

_MODULES = {
    "errors": "clew.core.errors",
    "mail": "clew.core.mail",
    "once": "clew.core.once",
    "schemes": "clew.auth.schemes",
    "webhooks": "clew.core.webhooks",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    for place, names in _PLACES.items():
        if name in names:
            value = getattr(import_module(place), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'clew' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
