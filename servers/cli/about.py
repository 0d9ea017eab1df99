"""`clew config` and `clew version`: what this installation is and how it is set up."""

import json
import os
import platform
import re
from argparse import Namespace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from clew import __version__
from clew.core.fields import as_list
from clew.servers.cli.output import duration, emit, emit_json, table, talk
from clew.servers.cli.start import begin
from clew.servers.settings import DATABASE, VARIABLES, Settings, searched_files
from clew.servers.settings_values import shown_database

_PACKAGES = ("mcp", "httpx2", "pydantic", "cryptography")


def show_config(arguments: Namespace) -> int:
    """Every setting, its value, where it comes from, and the files that were looked at."""
    settings = begin()
    entries = _entries(settings)
    if arguments.json:
        files = [{"file": str(path), "read": path in settings.files} for path in searched_files()]
        emit_json({"settings": entries, "files": files})
    else:
        table(
            ("SETTING", "VALUE", "FROM"),
            [
                (each["name"], _shown(each["value"], "all" if each["name"] == "tools" else "none"), each["from"])
                for each in entries
            ],
        )
        emit("")
        table(
            ("FILE", "READ"),
            [(str(path), "yes" if path in settings.files else "not there") for path in searched_files()],
        )
    unknown = sorted(name for name in os.environ if name.startswith("CLEW_") and name not in VARIABLES)
    if unknown:
        talk(f"No such setting: {', '.join(unknown)}. Known variables: {', '.join(VARIABLES)}.")
    return 0


def _entries(settings: Settings) -> list[dict[str, Any]]:
    values: dict[str, Any] = {
        "home": str(settings.home),
        "database": shown_database(settings.database) or str(settings.home / DATABASE),
        "deadline": settings.deadline,
        "read_only": settings.read_only,
        "tools": list(settings.tools),
        "key_provider": settings.key_provider,
        "old_key_providers": list(settings.old_key_providers),
        "rotate_after": duration(settings.rotate_after) if settings.rotate_after else "never",
        "rotate": list(settings.rotate),
        "log_level": settings.log_level,
        "log_format": settings.log_format,
        "limits": re.sub(r"//[^@]*@", "//***@", settings.limits) or "a file in home",
        "audit_keep": duration(settings.audit_keep) if settings.audit_keep else "never",
        "audit_hide": list(settings.audit_hide),
        "audit_show": list(settings.audit_show),
        "metrics": settings.metrics,
        "prices": json.dumps(settings.prices),
    }
    values |= {
        "webhooks.public_url": settings.webhooks.public_url,
        "webhooks.trusted_proxies": list(settings.webhooks.trusted_proxies),
        "console.url": settings.console.url,
        "console.issuer": settings.console.issuer,
        "console.identity": settings.console.identity,
        "console.people": list(settings.console.people),
        "console.groups": list(settings.console.groups),
        "webhooks.most_body": settings.webhooks.most_body,
    }
    for name in ("url", "issuer", "verify", "audience", "client_id", "identity", "tenant", "sessions"):
        values[f"http.{name}"] = getattr(settings.http, name)
    values["http.scopes"] = list(settings.http.scopes)
    for name, connector in sorted(settings.connectors.items()):
        values |= {f"connectors.{name}.base_url": connector.base_url, f"connectors.{name}.account": connector.account}
    return [
        {"name": name, "value": value, "from": settings.sources.get(name, "default")} for name, value in values.items()
    ]


def _shown(value: Any, none: str = "all") -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, as_list(value) or ())) or none
    return f"{value:g}" if isinstance(value, float) else str(value)


def show_version(arguments: Namespace) -> int:
    """clew's version, Python's, and those of the packages that matter in a bug report."""
    packages = {name: _version(name) for name in _PACKAGES}
    if arguments.json:
        emit_json(
            {
                "clew": __version__,
                "python": platform.python_version(),
                "platform": platform.platform(),
                **packages,
            }
        )
        return 0
    emit(f"clew {__version__}")
    others = ", ".join(f"{name} {number}" for name, number in packages.items() if number)
    talk(f"Python {platform.python_version()} on {platform.system()}; {others}")
    return 0


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
