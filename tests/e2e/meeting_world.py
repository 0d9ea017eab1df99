"""One meeting in Google's and in Microsoft's calendar, with versions, mail to guests, and answers that get lost."""

import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.attacks.issuer import serving

GOOGLE_TOKEN = "google-" + "g" * 20
GRAPH_TOKEN = "graph-" + "m" * 20
BEA, CARL = "bea@customer.example", "carl@home.example"
DAY = "2031-03-04"


def at(clock: str) -> str:
    return f"{DAY}T{clock}:00Z"


def utc(value: dict[str, Any]) -> str:
    """Graph's or Google's time as ISO in UTC."""
    return f"{str(value['dateTime'])[:19].removesuffix('Z')}Z"


@dataclass
class Calendar:
    """What both have: events by id, each with a version; who was mailed; what was asked. `lost` answers to a change are
    lost after it was made, `meanwhile` happens once, after an event was read and before it is changed."""

    token: str
    events: dict[str, dict[str, Any]]
    changes: int = 0
    mailed: list[list[str]] = field(default_factory=list[list[str]])
    asked: list[tuple[str, str, int]] = field(default_factory=list[tuple[str, str, int]])
    lost: int = 0
    meanwhile: Callable[[], None] | None = None

    def answer(self, request: Request, data: Any, status: int = 200) -> Response:
        self.asked.append((request.method, request.url.path, status))
        if self.lost and status == 200 and request.method == "PATCH":
            self.lost -= 1
            return Response("<html>bad gateway</html>", 502, media_type="text/html")
        return JSONResponse(data, status)

    def known(self, request: Request) -> dict[str, Any]:
        assert request.headers["authorization"] == f"Bearer {self.token}"
        if request.method == "PATCH" and self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            happens()
        return self.events[request.path_params["event"]]


@dataclass
class Google(Calendar):
    """Calendar v3: events with etags, patches, and free and busy."""

    def app(self) -> Starlette:
        events = "/calendar/v3/calendars/primary/events"
        return Starlette(
            routes=[
                Route(events, self._list),
                Route(events + "/{event}", self._one, methods=["GET", "PATCH"]),
                Route("/calendar/v3/freeBusy", self._busy, methods=["POST"]),
            ]
        )

    async def _list(self, request: Request) -> Response:
        return self.answer(request, {"items": list(self.events.values()), "timeZone": "UTC"})

    async def _busy(self, request: Request) -> Response:
        asked = json.loads(await request.body())
        busy = [{"start": one["start"]["dateTime"], "end": one["end"]["dateTime"]} for one in self.events.values()]
        return self.answer(request, {"calendars": {each["id"]: {"busy": busy} for each in asked["items"]}})

    async def _one(self, request: Request) -> Response:
        event = self.known(request)
        if request.method == "GET":
            return self.answer(request, event)
        if request.headers["if-match"] != event["etag"]:
            fault = {"code": 412, "message": "Precondition Failed", "errors": [{"reason": "conditionNotMet"}]}
            return self.answer(request, {"error": fault}, 412)
        self.change(event, json.loads(await request.body()))
        if request.query_params["sendUpdates"] == "all":
            self.mailed.append([each["email"] for each in event["attendees"]])
        return self.answer(request, event)

    def change(self, event: dict[str, Any], given: dict[str, Any]) -> None:
        self.changes += 1
        event |= given
        event["etag"] = f'"{int(event["etag"].strip(chr(34))) + 1}"'


@dataclass
class Graph(Calendar):
    """Events with change keys; whoever is invited is mailed whatever changes."""

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1.0/me/calendarView", self._list),
                Route("/v1.0/me/events/{event}", self._one, methods=["GET", "PATCH"]),
            ]
        )

    async def _list(self, request: Request) -> Response:
        return self.answer(request, {"value": list(self.events.values())})

    async def _one(self, request: Request) -> Response:
        event = self.known(request)
        if request.method == "GET":
            return self.answer(request, event)
        if request.headers["if-match"] != f'W/"{event["changeKey"]}"':
            fault = {"code": "ErrorIrresolvableConflict", "message": "The change key passed does not match."}
            return self.answer(request, {"error": fault}, 412)
        self.change(event, json.loads(await request.body()))
        self.mailed.append([each["emailAddress"]["address"] for each in event["attendees"]])
        return self.answer(request, event)

    def change(self, event: dict[str, Any], given: dict[str, Any]) -> None:
        self.changes += 1
        event |= given
        event["changeKey"] += "x"


def google() -> Google:
    """The meeting, lunch, and something in the afternoon."""

    def event(known: str, title: str, start: str, end: str, guests: list[str]) -> dict[str, Any]:
        return {
            "id": known, "etag": '"1"', "status": "confirmed", "summary": title,
            "start": {"dateTime": at(start)}, "end": {"dateTime": at(end)},
            "attendees": [{"email": each, "responseStatus": "accepted"} for each in guests],
        }  # fmt: skip

    events = [event("planning", "Planning", "10:00", "11:00", [CARL]), event("lunch", "Lunch", "12:00", "14:00", [])]
    return Google(GOOGLE_TOKEN, {one["id"]: one for one in events})


def graph() -> Graph:
    """The meeting, and a review after lunch."""

    def event(known: str, title: str, start: str, end: str, guests: list[str]) -> dict[str, Any]:
        return {
            "id": known, "changeKey": "ck", "subject": title, "isOrganizer": True, "isCancelled": False,
            "isAllDay": False, "type": "singleInstance", "showAs": "busy",
            "start": {"dateTime": f"{DAY}T{start}:00.0000000", "timeZone": "UTC"},
            "end": {"dateTime": f"{DAY}T{end}:00.0000000", "timeZone": "UTC"},
            "attendees": [
                {"type": "required", "status": {"response": "accepted"}, "emailAddress": {"address": each}}
                for each in guests
            ],
        }  # fmt: skip

    events = [
        event("AAplanning", "Planning", "10:00", "11:00", [BEA]),
        event("AAreview", "Review", "14:00", "15:00", []),
    ]
    return Graph(GRAPH_TOKEN, {one["id"]: one for one in events})


@contextlib.asynccontextmanager
async def calendars(first: Google, second: Graph) -> AsyncGenerator[tuple[str, str]]:
    """Both on ports of their own; their origins."""
    async with serving(first.app()) as one, serving(second.app()) as other:
        yield one, other
