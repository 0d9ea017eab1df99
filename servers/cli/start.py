"""How a command begins: settings, log, and one HTTP stack when it will speak HTTP."""

import difflib
from dataclasses import replace

from clew.core.errors import ConfigurationError
from clew.servers.program import set_up_logging, use_one_http_stack
from clew.servers.settings import Settings, load_settings
from clew.servers.settings_values import check_tenant


def begin(*, http: bool = False, tracebacks: bool = False, tenant: str | None = None) -> Settings:
    """Read the settings and set the process up; `tenant` is what `--tenant` says. Raises `ConfigurationError`."""
    settings = load_settings()
    if tenant is not None:
        check_tenant(tenant, "--tenant")
        settings = replace(settings, tenant=tenant, sources={**settings.sources, "tenant": "--tenant"})
    set_up_logging(settings.log_level, tracebacks=tracebacks, as_json=settings.log_format == "json")
    if http:
        use_one_http_stack()
    return settings


def stored_name(name: str | None) -> str | None:
    """The name under which credentials are stored: the connector's own, also of a file or a description."""
    from clew.core.registry import is_named, load

    return name if name is None or is_named(name) else load(name).name


def check_name(name: str) -> None:
    """Raise `ConfigurationError` when no connector has this name, without loading any.

    What does not even look like a name is not repeated: it may be a secret in the wrong place.
    """
    from clew.core.registry import discover, is_named

    found = discover()
    if name in found or not is_named(name):
        return
    near = difflib.get_close_matches(name, found, n=1)
    shown = f" {name!r}" if name.islower() and name.replace("_", "").isalnum() and len(name) <= 20 else " of this name"
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(found) or 'none'}."
    raise ConfigurationError(f"there is no connector{shown}. {hint}")
