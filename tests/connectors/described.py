"""Is every request that a connector sends, in whatever test, one that its provider's own description allows?

`descriptions/` holds what the tests need of the descriptions; `scripts/cut-descriptions` cuts it. The `call` of
conftest.py judges each request of the connectors that have one, as it stands when it leaves, credential and all.
"""

import importlib
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from tests.connectors.known import READ_AS, STALE, UNDESCRIBED, Asked

from clew import Connector
from clew.core.registry import discover
from clew.core.wire import Wire

ROOT = Path(__file__).resolve().parent.parent.parent
PLACE = Path(__file__).resolve().parent / "descriptions"


def of_testbeds(name: str) -> Any:
    """A module of the test beds: they judge by the same descriptions, and by the same wrong requests."""
    sys.path.append(str(ROOT / "scripts"))
    try:
        return importlib.import_module(f"testbeds.{name}")
    finally:
        sys.path.pop()


class Judge:
    """Says of requests what a description does not know or does not allow."""

    def __init__(self, name: str) -> None:
        self.name = name
        document = json.loads((PLACE / f"{name}.json").read_text(encoding="utf-8"))
        if name == "stripe":
            self.description = of_testbeds("stripe_forms").StripeDescription(document)
        else:
            self.description = of_testbeds("description").Description(document)

    def faults(self, request: httpx.Request, base_url: str) -> list[str]:
        """What is wrong with a request, without what the description is known to be wrong about.

        `base_url` is where the connection's API lives: its path stands for that of the description's server.
        """
        headers = {name.lower(): value for name, value in request.headers.items()}
        rows: list[str] = []
        for method, path, query, body in self._asked(request, base_url):
            found: list[str] = self.description.faults(method, path, query, body, headers)
            operation = f"{method} {self.description.route(method, path) or path}"
            rows += [f"{operation}: {each}" for each in found if not self._known(operation, each, request)]
        return rows

    def operations(self, request: httpx.Request, base_url: str) -> list[str | None]:
        """Which operations of the description a request is: of a batch, several."""
        routes = [(each[0], self.description.route(*each[:2])) for each in self._asked(request, base_url)]
        return [route and f"{method} {route}" for method, route in routes]

    def _asked(self, request: httpx.Request, base_url: str) -> Sequence[Asked]:
        """A request in the description's words. An address that is not under the connection's is no operation."""
        place = request.url.raw_path.decode("ascii").replace("%24", "$")
        base = httpx.URL(base_url)
        ours = base.raw_path.decode("ascii").rstrip("/")
        if request.url.host != base.host or not place.startswith(ours):
            place = str(request.url)
        path, _, query = place.removeprefix(ours).partition("?")
        asked = request.method, path, query, request.content
        return READ_AS[self.name](*asked) if self.name in READ_AS else [asked]

    def _known(self, operation: str, fault: str, request: httpx.Request) -> bool:
        beside, _ = UNDESCRIBED.get(self.name, ("", ""))
        if re.fullmatch(beside, operation) and fault.startswith("there is no "):
            return True
        return any(
            each.operation == operation and re.fullmatch(each.fault, fault) and each.when(request)
            for each in STALE.get(self.name, ())
        )


@cache
def judge(name: str) -> Judge | None:
    """The judge of a connector's requests; `None` where there is no description."""
    return Judge(name) if (PLACE / f"{name}.json").is_file() else None


def faults(wire: Wire, by: str, requests: Iterable[httpx.Request]) -> list[str]:
    """What is wrong with requests; nothing where the provider has no description here, or a test made up the connector.

    Where CLEW_PROOFS names a file, it tells `scripts/proofs` of each request and of the tool that sent it.
    """
    name, place = wire.connector.name, os.environ.get("CLEW_PROOFS")
    judging = judge(name)
    if judging is None or wire.connector is not connector(name):
        return []
    found: list[str] = []
    for each in requests:
        found += judging.faults(each, wire.base_url)
        if place:
            with Path(place).open("a", encoding="utf-8") as file:
                for operation in judging.operations(each, wire.base_url):
                    file.write(f"{json.dumps({'connector': name, 'tool': by, 'operation': operation})}\n")
    return found


@cache
def connector(name: str) -> Connector:
    """The connector that clew has under this name."""
    found: Connector = discover()[name].load()
    return found
