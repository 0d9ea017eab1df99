"""`/connect`: a person connects an account for the caller that they are, and for nobody else.

Whoever opens a link must log in at the issuer that the caller's token came from. Only when that person is the caller,
and says yes on a page of ours, does the browser go on to the provider. Each step is tied to this browser by a sealed
cookie that only the step before it can have set; what comes back from anywhere else is not believed.
"""

import asyncio
import hmac
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from clew.auth.clients import login_client
from clew.auth.connections import set_identity, set_token
from clew.auth.consent import LoginError
from clew.auth.schemes import OAuth2, Typed
from clew.auth.sign_in import Relying, begin, finish
from clew.auth.web_login import begin_login, finish_login
from clew.core.connection import LOCAL_TENANT
from clew.core.connector import Connector
from clew.core.errors import CallError, ClewError, quote
from clew.core.secret import Secret
from clew.core.values import dataclass
from clew.servers.cli.choices import base_url_of, wanted_scopes
from clew.servers.cli.trial import HeldCredential, try_credential
from clew.servers.connecting import BASE, Link, Links, operator_place, way_of
from clew.servers.console import view
from clew.servers.console.door import HEADERS, is_own, keep_cookie, read_form
from clew.servers.console.pages import style
from clew.servers.gate import person_named
from clew.servers.runtime import Runtime

log = logging.getLogger(__name__)

_LABEL = "connect step"
_STEP_SECONDS = 600
_GONE = (
    "This link is not good any more: it works once, and for a quarter of an hour. Make the call again for a new one."
)
_STRAY = "This page was not reached from the step before it, in this browser. Open the link again."
# A form's answer may lead to the provider, and from there to wherever people log in.
_POLICY = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"


class StrayError(ClewError):
    """A step that does not follow from the one before it; the message is for the person."""


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of one server."""

    runtime: Runtime
    links: Links
    http: httpx.AsyncClient
    hosts: frozenset[str]

    @property
    def url(self) -> str:
        """Where this server is found."""
        return self.runtime.settings.http.url

    @property
    def cookie(self) -> str:
        """With TLS the browser itself sees to it that no other host has set it."""
        return "__Host-clew-connect" if self.url.startswith("https:") else "clew_connect"

    def routes(self) -> list[BaseRoute]:
        """What to add to an application."""
        steps = [
            Route("/", self._page(self.opened)),
            Route("/style.css", style),
            Route("/callback", self._page(self.signed_in)),
            Route("/go", self._page(self.agreed), methods=["POST"]),
            Route("/done", self._page(self.granted)),
        ]
        return [Route(BASE, self._page(self.opened)), Mount(BASE, Starlette(routes=steps))]

    def _page(self, step: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def shown(request: Request) -> Response:
            if request.headers.get("host") not in self.hosts:
                return Response("This host is not served here.\n", 421)
            try:
                async with asyncio.timeout(30):
                    response = await step(request)
            except StrayError as error:
                response = self._trouble(str(error), 403)
            except (ClewError, TimeoutError) as error:
                log.warning("connecting an account: %s", error)
                said = error.message if isinstance(error, CallError) else str(error) or "It took too long. Try again."
                response = self._trouble(said, 403 if isinstance(error, LoginError) else 502)
            for name, value in HEADERS.items():
                response.headers[name] = value
            response.headers["content-security-policy"] = _POLICY
            response.headers["cache-control"] = "no-store"
            if self.url.startswith("https:"):
                response.headers["strict-transport-security"] = "max-age=31536000"
            return response

        return shown

    async def opened(self, request: Request) -> Response:
        """A link was opened: nothing is shown before it is clear who opened it."""
        link = await self._live(request.query_params.get("link", ""))
        begun = await begin(self.http, self._relying(), self.url + BASE + "/callback")
        response = RedirectResponse(begun.url, 303)
        return await self._tied(response, "sign in", link, **begun.ties)

    async def signed_in(self, request: Request) -> Response:
        """The issuer says who opened it. Only the caller is asked whether to go on."""
        link, ties = await self._after("sign in", request)
        claims = await finish(self.http, self._relying(), self.url + BASE + "/callback", ties, str(request.url))
        person = person_named(claims, self.runtime.settings.http.identity)
        if person is None or (self._issuer(claims), person) != (link.issuer, link.person):
            log.warning("a link to connect an account was opened by somebody else than the caller")
            raise StrayError(
                f"You are logged in as {quote(person or 'somebody without a name', 100)}, and this link was made for "
                "somebody else. Nothing was connected. If somebody sent you this link, tell whoever runs this server."
            )
        form = secrets.token_urlsafe(24)
        connector, way = await self._way(link)
        fields = () if isinstance(way, OAuth2) else way.fields
        response = self._render(
            "connect.html", person=person, program=link.program, title=connector.title or connector.name,
            account=link.connection.account, form=form, fields=fields, help=getattr(way, "help", ""),
            action=f"{BASE}/go",
        )  # fmt: skip
        return await self._tied(response, "agree", link, form=form)

    async def agreed(self, request: Request) -> Response:
        """The person said yes: on to the provider, or what was typed is stored."""
        link, ties = await self._after("agree", request)
        fields = await read_form(request) if is_own(request, self._origin(request)) else None
        if fields is None or not hmac.compare_digest(fields.get("form", "").encode(), ties["form"].encode()):
            raise StrayError("This form was sent from another place. Nothing was done.")
        connector, way = await self._way(link)
        if not isinstance(way, OAuth2):
            await self._keep_typed(connector, way, link, fields)
            return await self._ended(connector, link)
        begun = await begin_login(**await self._login(connector, way, link))
        response = RedirectResponse(begun.url, 303)
        return await self._tied(response, "provider", link, **begun.ties)

    async def _keep_typed(self, connector: Connector, way: Typed, link: Link, fields: Mapping[str, str]) -> None:
        """Ask the provider with what was typed, and store it when it is good."""
        given = {name: Secret(fields.get(name, "").strip()) for name in way.fields}
        if not all(given.values()):
            raise StrayError("Something was left empty. Nothing was stored; open the link again.")
        place = self._place(connector)
        await try_credential(connector, link.connection, HeldCredential(way, given), base_url=place["base_url"])
        if not await self.links.spend(link):
            raise StrayError(_GONE)
        await set_token(self.runtime.vault, link.connection, way, given, origin=place["origin"])

    async def granted(self, request: Request) -> Response:
        """The provider sent the browser back with its grant."""
        link, ties = await self._after("provider", request)
        connector, way = await self._way(link)
        if not isinstance(way, OAuth2) or not await self.links.spend(link):
            raise StrayError(_GONE)
        facts = await finish_login(**await self._login(connector, way, link), ties=ties, address=str(request.url))
        log.info("%s was connected with %s", link.connection, ", ".join(facts.scopes) or "no scopes")
        return await self._ended(connector, link)

    async def _ended(self, connector: Connector, link: Link) -> Response:
        where, title = link.connection, connector.title or connector.name
        identity = None
        if connector.identify is not None:
            try:
                identity = await self.runtime.identity(connector, where.account, tenant=where.tenant)
            except ClewError as error:
                log.warning("whose account %s is cannot be said: %s", where, error)
        if identity:
            await set_identity(self.runtime.vault, where, identity)
        response = self._render("connected.html", title=title, identity=identity, program=link.program, trouble="")
        keep_cookie(response, self.url, self.cookie, "", 0)
        return response

    async def _login(self, connector: Connector, way: OAuth2, link: Link) -> dict[str, Any]:
        vault = self.runtime.vault
        scopes = link.scopes or wanted_scopes(connector, self.runtime.settings, None)
        return {
            "vault": vault,
            "connection": link.connection,
            "scheme": way,
            "http": self.http,
            "client": await login_client(vault, operator_place(self.runtime, connector), way),
            "redirect_uri": f"{self.url}{BASE}/done",
            "scopes": scopes,
            **self._place(connector),
        }

    def _place(self, connector: Connector) -> dict[str, str]:
        place = self.runtime.place(connector)
        return {"base_url": base_url_of(connector, place, {}), "origin": place.origin}

    async def _way(self, link: Link) -> tuple[Connector, Any]:
        for connector in self.runtime.connectors:
            if connector.name == link.connection.connector and (way := await way_of(self.runtime, connector)):
                return connector, way
        raise StrayError(_GONE)

    async def _live(self, id: str) -> Link:
        link = await self.links.get(id) if id else None
        if link is None:
            raise StrayError(_GONE)
        return link

    async def _after(self, step: str, request: Request) -> tuple[Link, Mapping[str, str]]:
        """What the step before has tied to this browser. Raises `StrayError` for everything else."""
        try:
            sealed = bytes.fromhex(request.cookies.get(self.cookie, ""))
            content = await self.runtime.store.sealer.open(sealed, tenant=LOCAL_TENANT, label=_LABEL)
            facts: dict[str, Any] = json.loads(content)
        except (ClewError, ValueError, IndexError):
            raise StrayError(_STRAY) from None
        if facts["step"] != step or facts["ends"] < time.time():
            raise StrayError(_STRAY)
        return await self._live(facts["link"]), facts["ties"]

    async def _tied(self, response: Response, step: str, link: Link, **ties: str) -> Response:
        facts = {"step": step, "link": link.id, "ends": time.time() + _STEP_SECONDS, "ties": ties}
        sealed = await self.runtime.store.sealer.seal(json.dumps(facts).encode(), tenant=LOCAL_TENANT, label=_LABEL)
        keep_cookie(response, self.url, self.cookie, sealed.hex(), _STEP_SECONDS)
        return response

    def _relying(self) -> Relying:
        said = self.runtime.settings.http
        return Relying(said.issuer, said.client_id, said.client_secret or None)

    def _issuer(self, claims: Mapping[str, Any]) -> str:
        """`iss` of the ID token, which `finish` has compared with the issuer's own spelling of its name."""
        return str(claims.get("iss", ""))

    def _origin(self, request: Request) -> str:
        host = request.headers.get("host", "")
        return self.url if host == urlsplit(self.url).netloc else f"http://{host}"

    def _render(self, template: str, *, status: int = 200, **facts: Any) -> Response:
        return Response(view.render(template, base=BASE, **facts), status, media_type="text/html")

    def _trouble(self, message: str, status: int) -> Response:
        return self._render("connected.html", status=status, title="", identity=None, program="", trouble=message)
