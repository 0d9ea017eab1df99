"""What stands before every page: the right host, the right origin, an open session, a form of our own.

A page of another origin can make a browser send a request here, never read the answer and never know the form's token.
A name that was rebound to this machine is not one of ours. Nothing here is ever shown inside another page.
"""

import hmac
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clew.core.values import dataclass
from clew.servers.console import view
from clew.servers.console.desk import Desk
from clew.servers.console_address import BASE

OPEN = frozenset({f"{BASE}/{name}" for name in ("enter", "login", "callback", "style.css", "script.js")})
"""What needs no session."""
_MOST_FORM = 256 * 1024
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer a browser hides the Origin of its forms, too
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
}


@dataclass(frozen=True, slots=True)
class Places:
    """The hosts and origins under which this console is reached: this machine's names, and the configured address."""

    port: int
    host: str = "127.0.0.1"
    url: str = ""

    @property
    def hosts(self) -> frozenset[str]:
        """What the `Host` header may say."""
        names = {self.host, "localhost", "127.0.0.1", "[::1]"}
        return frozenset({*(f"{name}:{self.port}" for name in names), *filter(None, [urlsplit(self.url).netloc])})

    def origin(self, host: str) -> str:
        """The origin of a host of ours."""
        return self.url if self.url and host == urlsplit(self.url).netloc else f"http://{host}"


class Door:
    """The ASGI application around the pages."""

    def __init__(self, app: ASGIApp, desk: Desk, places: Places) -> None:
        self._app = app
        self._desk = desk
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or let a request in with `visitor`, `form` and `origin` in its state."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        host = request.headers.get("host", "")
        origin = self._places.origin(host)

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
                if origin.startswith("https:"):
                    headers["strict-transport-security"] = "max-age=31536000"
            await send(message)

        if host not in self._places.hosts:
            await Response("This host is not served here.\n", 421)(scope, receive, dressed)
            return
        state = scope.setdefault("state", {})
        state |= {"origin": origin, "form": {}, "desk": self._desk, "visitor": None}
        state["visitor"] = await self._desk.visitor(request.cookies.get(cookie_name(origin), ""))
        refusal = await self._refusal(request, origin)
        if refusal is not None:
            await refusal(scope, receive, dressed)
        else:
            await self._app(scope, receive, dressed)

    async def _refusal(self, request: Request, origin: str) -> Response | None:
        visitor, path = request.state.visitor, request.url.path
        if request.method == "POST":
            if not is_own(request, origin):
                return view.trouble(request, "This form was sent from another place. Nothing was done.", 403)
            form = await read_form(request)
            if form is None:
                return view.trouble(request, "This form cannot be read. Nothing was done.", 400)
            request.state.form = form
            token = form.pop("csrf", "")
            if (
                visitor is not None
                and path not in OPEN
                and not hmac.compare_digest(token.encode(), visitor.csrf.encode())
            ):
                return view.trouble(request, "This form is not of your session. Nothing was done.", 403)
        elif request.method not in ("GET", "HEAD"):
            return Response("There is nothing of this kind here.\n", 405)
        if visitor is None and path not in OPEN:
            return view.welcome(request)
        return None


def cookie_name(origin: str) -> str:
    """The session's cookie. With TLS the browser itself sees to it that only this host sets it."""
    return "__Host-clew" if origin.startswith("https:") else "clew_console"


def keep_cookie(response: Response, origin: str, name: str, value: str, seconds: int) -> None:
    """Set a cookie that scripts cannot read and forms of other sites do not carry; without a value take it back."""
    response.set_cookie(
        name, value, max_age=seconds if value else 0, path="/", secure=origin.startswith("https:"), httponly=True,
        samesite="lax",
    )  # fmt: skip


def is_own(request: Request, origin: str) -> bool:
    """Did a page of ours send it? Browsers say where a form comes from; one that says neither is not believed."""
    said, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if said is not None:
        return said == origin and site in (None, "same-origin")
    return site == "same-origin"


async def read_form(request: Request) -> dict[str, str] | None:
    """A form's fields; None for what is not a form, or too large for one."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return None
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_FORM:
            return None
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=500, errors="strict"))
    except ValueError:
        return None
