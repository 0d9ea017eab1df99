"""`/_sandbox`: the side door through which tests set faults and look inside. No real provider has it."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from .disguises import LOOP_PATH
from .faults import Fault, is_number
from .gate import check_fields
from .refusals import RefusalError
from .state import State
from .tokens import SCOPES


def set_fault(state: State, fault: str, options: dict[str, Any]) -> Fault:
    """Arm a fault, or do at once what an immediate one says; raises `ValueError`."""
    made = state.faults.set(fault, options)
    if fault == "expire_token":
        state.tokens.expire_access(state.now())
    if fault == "revoke_grant":
        state.tokens.revoke_grants()
    return made


def look_inside(state: State) -> dict[str, Any]:
    """Return the counters as JSON data; no token is among them."""
    return {
        "now": state.now(),
        "requests": dict(state.requests),
        "commits": [asdict(commit) for commit in state.commits],
        "tokens": {
            "issued": state.tokens.issued,
            "refreshed": state.tokens.refreshed,
            "reused": state.tokens.reused,
            "families_revoked": state.tokens.families_revoked,
        },
        "limits": {
            "admitted": len(state.limits.admitted),
            "refused": len(state.limits.refused),
            "most_in_window": state.limits.most_in_window(),
            "peak_concurrent": state.limits.peak_concurrent,
        },
        "deliveries": [asdict(delivery) for delivery in state.deliveries],
    }


def control_routes(state: State) -> list[Route]:
    """Return the routes of the side door."""

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            state.faults.clear()
            return Response(status_code=204)
        if request.method == "GET":
            return JSONResponse({"data": state.faults.show()})
        try:
            options = await _read(request)
            made = set_fault(state, str(options.pop("fault", "")), options)
        except (ValueError, RefusalError) as error:
            return RefusalError(422, "invalid_field", str(error)).answer()
        return JSONResponse(made.show(), 201)

    async def reset(request: Request) -> Response:
        state.reset(keep_tokens=bool((await _read(request)).get("keep_tokens", False)))
        return Response(status_code=204)

    async def log(_request: Request) -> Response:
        return JSONResponse({"data": [asdict(seen) for seen in state.log]})

    async def inside(_request: Request) -> Response:
        return JSONResponse(look_inside(state))

    async def mint(request: Request) -> Response:
        given = await _read(request)
        check_fields(given, {"scopes": _is_scopes, "expires_in": is_number})
        expires_at = None if given.get("expires_in") is None else state.now() + given["expires_in"]
        token = state.tokens.mint_pat(given.get("scopes", SCOPES), expires_at=expires_at)
        return JSONResponse({"token": token.value}, 201)

    async def clock(request: Request) -> Response:
        given = await _read(request)
        check_fields(given, {"advance": is_number}, required=("advance",))
        state.advance(given["advance"])
        return JSONResponse({"now": state.now()})

    async def loop(request: Request) -> Response:
        return RedirectResponse(f"{LOOP_PATH}/{request.path_params['turn'] + 1}", 302)

    return [
        Route("/_sandbox/faults", faults, methods=["GET", "POST", "DELETE"]),
        Route("/_sandbox/reset", reset, methods=["POST"]),
        Route("/_sandbox/log", log),
        Route("/_sandbox/state", inside),
        Route("/_sandbox/tokens", mint, methods=["POST"]),
        Route("/_sandbox/clock", clock, methods=["POST"]),
        Route(f"{LOOP_PATH}/{{turn:int}}", loop),
    ]


def _is_scopes(value: Any) -> bool:
    return isinstance(value, list) and all(scope in SCOPES for scope in cast("Iterable[Any]", value))


async def _read(request: Request) -> dict[str, Any]:
    """Return the JSON object of the body, an empty one when there is no body."""
    body = await request.body()
    if not body:
        return {}
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        # A form on some web page cannot send this type, so it cannot press these switches.
        raise RefusalError(415, "unsupported_media_type", "Send application/json.")
    try:
        data = json.loads(body)
    except ValueError as error:
        raise RefusalError(400, "invalid_json", "The body is not JSON.") from error
    if not isinstance(data, dict):
        raise RefusalError(400, "invalid_json", "The body must be a JSON object.")
    return cast("dict[str, Any]", data)
