"""What stands before every MCP address: the right host and origin, a good token for this very address, enough scopes.

RFC 9728 says where hosts learn who gives out tokens, RFC 6750 how they are told what is wrong with the one they have.
Nothing of a token is kept, logged, or passed on to anybody.
"""

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp.server.transport_security import TransportSecurityMiddleware
from starlette.authentication import AuthCredentials
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clew.auth.access_tokens import Accepted, RefusedTokenError, Verifier
from clew.auth.issuer_keys import IssuerOutageError
from clew.core.connection import LOCAL_TENANT
from clew.core.fields import as_list, as_object
from clew.core.secret import Secret
from clew.servers.holding import NOBODY, Holdings
from clew.servers.http_settings import MOST_OPEN, HttpSettings
from clew.servers.offering import View
from clew.servers.permits import Permits
from clew.servers.principals import Caller, Principal
from clew.servers.runtime import Runtime
from clew.servers.settings import Settings
from clew.servers.shedding import proven
from clew.servers.tenancy import tenant_named

log = logging.getLogger(__name__)

WELL_KNOWN = "/.well-known/oauth-protected-resource"
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_CLOSING = {"retry-after": "1", "connection": "close"}


@dataclass(frozen=True, slots=True)
class Resource:
    """One protected address: `path` below `base`, and the scopes that mean anything there."""

    base: str
    path: str
    title: str
    scopes: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """What a token for it names as its audience."""
        return self.base + self.path

    @property
    def metadata(self) -> str:
        """Where it describes itself."""
        return f"{self.base}{WELL_KNOWN}{self.path}"

    def document(self, issuer: str) -> dict[str, Any]:
        """Its description (RFC 9728 §2)."""
        facts: dict[str, Any] = {
            "resource": self.address,
            "authorization_servers": [issuer],
            "bearer_methods_supported": ["header"],
            "resource_name": self.title,
        }
        return facts | ({"scopes_supported": list(self.scopes)} if self.scopes else {})


class AnsweredError(Exception):
    """A request that is answered instead of served."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


@dataclass(slots=True)
class Vouching:
    """Turns tokens into principals."""

    verifier: Verifier
    whole: Settings

    @property
    def settings(self) -> HttpSettings:
        """What `[http]` says."""
        return self.whole.http

    async def principal(self, request: Request, resource: Resource) -> Principal:
        """Who sends this request. Raises `AnsweredError` with the answer for everybody else."""
        shown = request.headers.getlist("authorization")
        scheme, _, token = (shown[0] if shown else "").partition(" ")
        if not shown or scheme.lower() != "bearer":
            raise AnsweredError(_challenge(401, resource))
        token = token.strip()
        if len(shown) > 1 or not _TOKEN.fullmatch(token):
            raise AnsweredError(_challenge(401, resource, "invalid_token", "the token cannot be read"))
        try:
            found = await self.verifier.verify(Secret(token))
            wanted = self.settings.audience or resource.address
            if wanted not in found.audiences:
                raise RefusedTokenError("it is for another resource")
            return self._named(found, token)
        except RefusedTokenError as error:
            log.info("a token was refused at %s: %s", resource.path, error)
            raise AnsweredError(_challenge(401, resource, "invalid_token", str(error))) from None
        except IssuerOutageError as error:
            log.warning("tokens cannot be checked: %s", error)
            body = {
                "error": "temporarily_unavailable",
                "error_description": "the token cannot be checked at the moment",
            }
            raise AnsweredError(JSONResponse(body, 503, {"retry-after": "5"})) from None

    def _named(self, found: Accepted, token: str) -> Principal:
        name = person_named(found.claims, self.settings.identity)
        if name is None:
            raise RefusedTokenError(f"it does not say who the caller is (claim {self.settings.identity})")
        by, issuer = self.settings.tenant, found.issuer
        if by == "server":
            tenant = self.whole.tenant or LOCAL_TENANT
        elif by == "user":
            tenant = tenant_named(name, issuer, self.whole)
        else:
            value = found.claims.get(by)
            if not isinstance(value, str) or not value:
                raise RefusedTokenError(f"it does not say whom the caller belongs to (claim {by})")
            tenant = tenant_named(value, issuer, self.whole)
        sid = found.claims.get("sid")
        session = sid if isinstance(sid, str) and sid else hashlib.sha256(token.encode()).hexdigest()[:24]
        return Principal(issuer, found.subject, found.client, name, tenant, found.scopes, session)


def person_named(claims: Mapping[str, Any], claim: str) -> str | None:
    """What `claim` calls a person; None when it does not name one, or with an e-mail address nobody has verified."""
    name = claims.get(claim)
    if not isinstance(name, str) or not name or not name.isprintable() or len(name) > 200:
        return None
    return None if claim == "email" and claims.get("email_verified") is not True else name


def _challenge(
    status: int, resource: Resource, code: str = "", why: str = "", scopes: tuple[str, ...] = ()
) -> Response:
    """The answer that tells a host where to get a token, or a better one."""
    facts = {"resource_metadata": resource.metadata, "scope": " ".join(scopes or resource.scopes)}
    facts = {"error": code, "error_description": why} | facts
    said = ", ".join(f'{name}="{_quoted(text)}"' for name, text in facts.items() if text)
    body = {"error": code or "unauthorized", "error_description": why or "an access token is needed"}
    return JSONResponse(body, status, {"www-authenticate": f"Bearer {said}", "cache-control": "no-store"})


def _quoted(text: str) -> str:
    return re.sub(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]", "", text)


def _begins(request: Request) -> bool:
    """Does this request begin something: a call, or a client's acquaintance with the server?"""
    if request.method != "POST":
        return False
    method = request.headers.get("mcp-method")
    if method is None:
        return "mcp-session-id" not in request.headers
    return method in ("initialize", "server/discover", "tools/call")


@dataclass(slots=True)
class Gate:
    """The ASGI application around one MCP address. Without `vouching` callers are not authenticated."""

    app: ASGIApp
    runtime: Runtime
    security: TransportSecurityMiddleware
    view: View
    resource: Resource | None = None
    vouching: Vouching | None = None
    permits: Permits = field(default_factory=Permits)
    most_body: int = 0
    holdings: Holdings = field(default_factory=lambda: Holdings(MOST_OPEN))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or let a request in with its caller as the scope's `user`."""
        request = Request(scope, receive)
        refusal = await self.security.validate_request(request)
        caller = NOBODY
        if refusal is None and self.runtime.closing and _begins(request):
            # Nothing was done, so whoever sends it again to another worker does no harm. Other requests are let in: a
            # client whose call has just ended may want the tools' schemas to read its result.
            refusal = Response("This worker is shutting down.\n", 503, _CLOSING)
        if refusal is None and self.vouching is not None and self.resource is not None:
            try:
                principal = await self.vouching.principal(request, self.resource)
            except AnsweredError as error:
                refusal = error.response
            else:
                caller = principal.issuer, principal.subject
                scope["user"], scope["auth"] = Caller(principal), AuthCredentials(list(principal.scopes))
                if self.permits and request.method == "POST":
                    receive, refusal = await self._stepped(receive, principal, self.resource)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        proven(scope)
        await self.holdings.serve(self.app, caller, scope, receive, send)

    async def _stepped(
        self, receive: Receive, principal: Principal, resource: Resource
    ) -> tuple[Receive, Response | None]:
        """The body once more, and the refusal of a call that needs more scopes. The server itself looks again before
        anything is called: this is how a host learns, not what keeps it out."""
        body, again = await _whole(receive, self.most_body)
        if body is None:
            return again, Response("Request body too large\n", 413, {"connection": "close"})
        for name in _called(body):
            bound = self.view.tools.get(name)
            lacks = self.permits.lacks(bound, principal.scopes) if bound else None
            if lacks:
                wanted = tuple(dict.fromkeys([*(each for each in principal.scopes if each in resource.scopes), *lacks]))
                why = f"{name} needs the scope {' '.join(lacks)}"
                return again, _challenge(403, resource, "insufficient_scope", why, wanted)
        return again, None


async def _whole(receive: Receive, most: int) -> tuple[bytes | None, Receive]:
    """A request's body, and a `receive` that gives it again; None when it is longer than it may be."""
    messages: list[Message] = []
    body = b""
    while True:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        if len(body) > most:
            return None, receive
        if message["type"] != "http.request" or not message.get("more_body", False):
            break

    async def again() -> Message:
        return messages.pop(0) if messages else await receive()

    return body, again


def _called(body: bytes) -> list[str]:
    """The tools that a body calls."""
    if b"tools/call" not in body and b"\\u" not in body:
        return []
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return []
    names: list[str] = []
    for each in as_list(found) or [found]:
        message = as_object(each) or {}
        name = (as_object(message.get("params")) or {}).get("name")
        if message.get("method") == "tools/call" and isinstance(name, str):
            names.append(name)
    return names
