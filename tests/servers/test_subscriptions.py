"""Subscriptions that end at the provider: renewed by one of the servers that run, made anew when they are over."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.attacks.hearing import hearing, main_account, serving

from clew.core.errors import ConfigurationError
from clew.servers.runtime import Runtime
from clew.servers.subscriptions import health, look_once, renew, subscribe

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]
WATCHED = {"resource": "me/messages"}


@dataclass
class Graph:
    """Microsoft Graph's subscriptions, as many as were made; `lives` is how long a new one lives, in seconds."""

    lives: float = 3 * 86400.0
    made: list[str] = field(default_factory=list[str])
    ends: dict[str, float] = field(default_factory=dict[str, float])
    renewed: int = 0
    asked: int = 0

    async def create(self, request: Request) -> Response:
        name = f"sub-{len(self.made)}"
        self.made.append(name)
        self.ends[name] = time.time() + self.lives
        return self._shown(name, 201)

    async def one(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self.ends:
            return JSONResponse({"error": {"code": "ResourceNotFound", "message": "gone"}}, 404)
        if request.method == "DELETE":
            del self.ends[name]
            return Response(status_code=204)
        if request.method == "PATCH":
            self.renewed += 1
            self.ends[name] = time.time() + self.lives
        else:
            self.asked += 1
        return self._shown(name)

    def _shown(self, name: str, status: int = 200) -> Response:
        ends = datetime.fromtimestamp(self.ends[name], UTC).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
        return JSONResponse({"id": name, "expirationDateTime": ends, "resource": "me/messages"}, status)


@asynccontextmanager
async def connected(home: Path, database: str) -> AsyncGenerator[tuple[Runtime, Graph]]:
    graph = Graph()
    routes = [
        Route("/subscriptions", graph.create, methods=["POST"]),
        Route("/subscriptions/{name}", graph.one, methods=["GET", "PATCH", "DELETE"]),
    ]
    async with (
        serving(routes) as provider,
        hearing(home, database, "microsoft", provider, where=WATCHED) as runtime,
    ):
        yield runtime, graph


async def forgetting(runtime: Runtime) -> None:
    """As after the time for which one look does for all servers."""
    await runtime.store.database.execute("DELETE FROM leases")


async def test_one_of_many_servers_renews_what_ends_soon(tmp_path: Path, address: str) -> None:
    async with connected(tmp_path, address) as (runtime, graph), Runtime.open(runtime.settings, ["microsoft"]) as other:
        assert [each.trouble for each in await look_once(runtime)] == [""]
        assert (graph.renewed, graph.asked) == (0, 1)
        await forgetting(runtime)
        graph.ends["sub-0"] = time.time() + 1800  # ends before the look after the next
        looked = await asyncio.gather(*(look_once(each) for each in (runtime, other) * 3))
        assert sorted(len(each) for each in looked) == [0, 0, 0, 0, 0, 1]
        assert (graph.renewed, graph.made) == (1, ["sub-0"])
        (connector,) = runtime.connectors
        known = await health(runtime, connector, main_account("microsoft"))
        assert known.ends_at == pytest.approx(graph.ends["sub-0"], abs=2)


@pytest.mark.parametrize("how", ["gone", "over"])
async def test_what_is_over_is_made_anew(tmp_path: Path, address: str, how: str) -> None:
    async with connected(tmp_path, address) as (runtime, graph):
        if how == "gone":
            graph.ends.clear()
        else:
            graph.ends["sub-0"] = time.time() - 10
        (connector,) = runtime.connectors
        before = await health(runtime, connector, main_account("microsoft"), check=True)
        assert before.trouble
        (found,) = await look_once(runtime)
        assert (found.trouble, found.id, graph.made) == ("", "sub-1", ["sub-0", "sub-1"])
        assert set(graph.ends) == {"sub-1"}


async def test_a_person_may_renew_at_once(tmp_path: Path, address: str) -> None:
    async with connected(tmp_path, address) as (runtime, graph):
        (connector,) = runtime.connectors
        await renew(runtime, connector, main_account("microsoft"))
        assert graph.renewed == 1


async def test_what_the_provider_must_be_told_is_asked_for(tmp_path: Path, address: str) -> None:
    async with connected(tmp_path, address) as (runtime, graph):
        (connector,) = runtime.connectors
        for where in ({}, {"resource": "me/events", "nonsense": "x"}):
            with pytest.raises(ConfigurationError):
                await subscribe(runtime, connector, main_account("microsoft"), "https://x.example", where=where)
        assert graph.made == ["sub-0"]
