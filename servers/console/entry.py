"""Coming in and going out: a link that is good once, or the operator's OpenID provider."""

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from clew.auth.consent import LoginError
from clew.auth.sign_in import Relying, begin, finish
from clew.core.connection import LOCAL_TENANT
from clew.core.errors import ClewError, quote
from clew.core.fields import as_list
from clew.core.secret import Secret
from clew.servers.console import view
from clew.servers.console.desk import Desk
from clew.servers.console.door import cookie_name, keep_cookie
from clew.servers.console.sessions import LOCAL
from clew.servers.console_address import BASE

log = logging.getLogger(__name__)

_TIES = "clew_login"
_LABEL = "console login"
_ATTEMPT_SECONDS = 600
_SPENT = "This link is not good any more: it works once, and for five minutes. Ask for a new one."


async def enter(request: Request) -> Response:
    """The page that a link leads to, and the exchange of its secret for a session."""
    desk: Desk = request.state.desk
    if desk.way != LOCAL:
        return view.welcome(request)
    if request.method == "GET":
        return view.page(request, "enter.html", problem="")
    ticket = request.state.form.get("ticket", "").strip()
    person = await desk.sessions.spend(Secret(ticket.rpartition("#")[2])) if ticket else None
    if person is None:
        return view.page(request, "enter.html", status=403, problem=_SPENT)
    return await _let_in(request, person, (), f"{BASE}/approvals")


async def login(request: Request) -> Response:
    """Send the browser to the provider, and let it carry what ties the answer to it."""
    desk: Desk = request.state.desk
    if desk.way == LOCAL:
        return view.welcome(request)
    redirect_uri = f"{request.state.origin}{BASE}/callback"
    try:
        async with httpx.AsyncClient() as http:
            begun = await begin(http, _relying(desk), redirect_uri)
    except ClewError as error:
        log.warning("console login: %s", error)
        return view.welcome(request, problem="The identity provider cannot be reached. Try again later.", status=503)
    back = _own(request.query_params.get("back", ""))
    facts = {**begun.ties, "redirect_uri": redirect_uri, "back": back, "ends": time.time() + _ATTEMPT_SECONDS}
    sealed = await desk.store.sealer.seal(json.dumps(facts).encode(), tenant=LOCAL_TENANT, label=_LABEL)
    response = RedirectResponse(begun.url, 303)
    keep_cookie(response, request.state.origin, _TIES, sealed.hex(), _ATTEMPT_SECONDS)
    return response


async def callback(request: Request) -> Response:
    """Where the provider sends the browser back to."""
    desk: Desk = request.state.desk
    ties = await _opened(desk, request.cookies.get(_TIES, "")) if desk.way != LOCAL else None
    if ties is None:
        problem = "This login did not begin in this browser, or too long ago. Begin again."
        return view.welcome(request, problem=problem, status=403)
    try:
        async with asyncio.timeout(30), httpx.AsyncClient() as http:
            claims = await finish(http, _relying(desk), ties["redirect_uri"], ties, str(request.url))
        person, groups = _person(desk, claims)
    except (ClewError, TimeoutError) as error:
        response = view.welcome(request, problem=str(error) or "The identity provider took too long.", status=403)
    else:
        response = await _let_in(request, person, groups, ties["back"])
    keep_cookie(response, request.state.origin, _TIES, "", 0)
    return response


async def leave(request: Request) -> Response:
    """End the session, here and in the database."""
    await request.state.desk.sessions.close(request.state.visitor.token)
    response = RedirectResponse(f"{BASE}/", 303)
    keep_cookie(response, request.state.origin, cookie_name(request.state.origin), "", 0)
    return response


async def _let_in(request: Request, person: str, groups: tuple[str, ...], back: str) -> Response:
    desk: Desk = request.state.desk
    if request.state.visitor is not None:
        await desk.sessions.close(request.state.visitor.token)
    token = await desk.sessions.open(person, groups, desk.way)
    response = RedirectResponse(back, 303)
    keep_cookie(
        response, request.state.origin, cookie_name(request.state.origin), token.reveal(), int(desk.rules.session)
    )
    return response


def _person(desk: Desk, claims: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Name and groups out of the claims. Raises `LoginError` when they do not get in."""
    rules = desk.rules
    name = claims.get(rules.identity)
    if not isinstance(name, str) or not name or not name.isprintable() or len(name) > 200:
        raise LoginError(f"Your identity provider does not say who you are (claim {rules.identity!r}).")
    if rules.identity == "email" and claims.get("email_verified") is not True:
        raise LoginError("Your identity provider has not verified your e-mail address, so it does not name you.")
    found = as_list(claims.get(rules.groups_claim)) or []
    groups = tuple(each for each in found if isinstance(each, str))[:200]
    if not rules.admits(name, groups):
        raise LoginError(f"{quote(name, 100)} may not use this console. Ask whoever runs it.")
    return name, groups


def _relying(desk: Desk) -> Relying:
    rules = desk.rules
    return Relying(rules.issuer, rules.client_id, rules.client_secret or None, rules.scopes)


async def _opened(desk: Desk, cookie: str) -> dict[str, str] | None:
    """What ties a browser to its attempt; None for anything else than what we have sealed ourselves."""
    try:
        content = await desk.store.sealer.open(bytes.fromhex(cookie), tenant=LOCAL_TENANT, label=_LABEL)
        facts: dict[str, Any] = json.loads(content)
    except (ClewError, ValueError, IndexError):
        return None
    return facts if facts["ends"] > time.time() else None


def _own(path: str) -> str:
    """A path of the console to go back to, and nothing that leads elsewhere."""
    safe = path.startswith(f"{BASE}/") and "//" not in path and "\\" not in path and path.isprintable()
    return path if safe and len(path) < 300 else f"{BASE}/approvals"
