"""An authorization server on loopback that gives out any token one likes, good ones and forged ones."""

import contextlib
import secrets
import socket
import time
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import urlencode

import anyio
import uvicorn
from joserfc import jwk, jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from clew.servers.guard import configure
from clew.servers.http import open_listener, shown_address


def new_key(kid: str, curve: str = "P-256") -> Any:
    return jwk.ECKey.generate_key(curve, {"kid": kid, "use": "sig"})


class Issuer:
    """`keys` are those it publishes; the first one signs. `person` is who is logged in in the browser."""

    def __init__(self) -> None:
        self.url = ""
        self.keys = [new_key("k1")]
        self.person: dict[str, Any] = {"sub": "ann"}
        self.active: dict[str, dict[str, Any]] = {}
        self.counts: dict[str, int] = {}
        self.down = False
        self.clients = {"clew": "clew-secret"}
        self._codes: dict[str, dict[str, Any]] = {}

    def token(self, audience: object, *, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token of RFC 9068; a claim that is None is left out."""
        now = int(time.time())
        whole = {
            "iss": self.url, "aud": audience, "sub": "ann", "client_id": "host", "iat": now, "exp": now + 300,
            "jti": secrets.token_hex(8), **claims,
        }  # fmt: skip
        signing = key or self.keys[0]
        head = {"alg": "ES256", "typ": "at+jwt", "kid": signing.kid, **(header or {})}
        head = {name: value for name, value in head.items() if value is not None}
        body = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(head, body, signing, algorithms=[head["alg"]])

    def opaque(self, audience: object, **claims: Any) -> str:
        """A token that only introspection knows."""
        made = secrets.token_urlsafe(24)
        ends = int(time.time()) + 300
        whole = {"active": True, "aud": audience, "sub": "ann", "client_id": "host", "exp": ends, **claims}
        self.active[made] = {name: value for name, value in whole.items() if value is not None}
        return made

    def app(self) -> Starlette:
        routes = [
            Route("/.well-known/openid-configuration", self._metadata),
            Route("/jwks", self._jwks),
            Route("/introspect", self._introspect, methods=["POST"]),
            Route("/authorize", self._authorize),
            Route("/token", self._token, methods=["POST"]),
        ]
        return Starlette(routes=routes)

    def _count(self, name: str) -> Response | None:
        self.counts[name] = self.counts.get(name, 0) + 1
        return Response("out\n", 503) if self.down else None

    async def _metadata(self, request: Request) -> Response:
        names = {"jwks_uri": "jwks", "introspection_endpoint": "introspect", "authorization_endpoint": "authorize"}
        places = {name: f"{self.url}/{path}" for name, path in {**names, "token_endpoint": "token"}.items()}
        return self._count("metadata") or JSONResponse({"issuer": self.url, **places})

    async def _jwks(self, request: Request) -> Response:
        return self._count("jwks") or JSONResponse({"keys": [key.as_dict(private=False) for key in self.keys]})

    async def _introspect(self, request: Request) -> Response:
        form = await request.form()
        known = request.headers.get("authorization", "").startswith("Basic ")
        return self._count("introspect") or (
            JSONResponse(self.active.get(str(form["token"]), {"active": False})) if known else Response(status_code=401)
        )

    async def _authorize(self, request: Request) -> Response:
        query = request.query_params
        code = secrets.token_urlsafe(16)
        self._codes[code] = {"nonce": query.get("nonce"), "client": query["client_id"], **self.person}
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}", 302)

    async def _token(self, request: Request) -> Response:
        form = await request.form()
        known = self._codes.pop(str(form.get("code")), None)
        if known is None:
            return JSONResponse({"error": "invalid_grant"}, 400)
        client = known.pop("client")
        claims = {"iss": self.url, "aud": client, "exp": int(time.time()) + 300, **known}
        claims = {name: value for name, value in claims.items() if value is not None}
        signed = jwt.encode({"alg": "ES256", "kid": self.keys[0].kid}, claims, self.keys[0])
        answer = {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "id_token": signed}
        return JSONResponse(answer, headers={"cache-control": "no-store"})


@contextlib.asynccontextmanager
async def running(issuer: Issuer) -> AsyncGenerator[Issuer]:
    """The issuer, listening while the block runs."""
    async with serving(issuer.app()) as url:
        issuer.url = url
        yield issuer


@contextlib.asynccontextmanager
async def serving(app: Any, *, lifespan: Any = "off") -> AsyncGenerator[str]:
    """An application on a port of its own."""

    class Quiet(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Any:
            yield

    with open_listener("127.0.0.1:0", "127.0.0.1", 0) as listener:
        server = Quiet(configure(app, lifespan=lifespan))
        host, port = shown_address(listener)
        async with anyio.create_task_group() as group:
            sockets: list[socket.socket] = [listener]
            group.start_soon(server.serve, sockets)
            yield f"http://{host}:{port}"
            server.should_exit = True
            server.force_exit = True
