# pyright: basic
"""A SOAP service of somebody else's making (spyne) on loopback: `python -m tests.servers.descriptions.soap_desk 11|12`.

Prints its port. It answers 401 unless the right password comes with the request. With `text` or `digest` as a second
word it wants WS-Security's UsernameToken instead, remembers each nonce, and repeats what it was sent when it refuses.
"""

import base64
import hashlib
import io
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]
from spyne import Application, Array, ComplexModel, Fault, Integer, ServiceBase, Unicode, rpc
from spyne import Decimal as XsdDecimal
from spyne.protocol.soap import Soap11, Soap12
from spyne.server.wsgi import WsgiApplication

PASSWORD = "opensesame"
TICKETS: dict[int, Any] = {}


class Line(ComplexModel):  # type: ignore[misc]
    __namespace__ = "urn:desk"
    sku = Unicode
    count = Integer


class Ticket(ComplexModel):  # type: ignore[misc]
    __namespace__ = "urn:desk"
    id = Integer(min_occurs=1)
    subject = Unicode
    price = XsdDecimal
    lines = Array(Line)
    status = Unicode(values=["open", "closed"], type_name="Status")


class Desk(ServiceBase):  # type: ignore[misc]
    @rpc(Integer(min_occurs=1), _returns=Ticket)
    def getTicket(ctx, id):  # type: ignore[no-untyped-def]
        """Read one ticket."""
        if id not in TICKETS:
            raise Fault("Client.NotFound", f"there is no ticket {id}")
        return TICKETS[id]

    @rpc(Unicode(min_occurs=1), Array(Line), Unicode(values=["open", "closed"], type_name="Status"), _returns=Integer)
    def createTicket(ctx, subject, lines, status):  # type: ignore[no-untyped-def]
        """Open a ticket."""
        if subject == "boom":
            raise RuntimeError("secret internals")
        number = len(TICKETS) + 1
        TICKETS[number] = Ticket(id=number, subject=subject, price=Decimal("1.10"), lines=lines, status=status)
        return number

    @rpc(Unicode, _returns=Array(Ticket))
    def searchTickets(ctx, word):  # type: ignore[no-untyped-def]
        """Find tickets by a word of their subject."""
        return [each for each in TICKETS.values() if (word or "") in each.subject]

    @rpc(Integer(min_occurs=1))
    def deleteTicket(ctx, id):  # type: ignore[no-untyped-def]
        """Delete a ticket."""
        del TICKETS[id]

    @rpc(Unicode)
    def purgeArchive(ctx, year):  # type: ignore[no-untyped-def]
        """Delete everything of a year."""


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def guarded(inner: Any) -> Callable[..., Iterable[bytes]]:
    wanted = "Basic " + base64.b64encode(f"ada:{PASSWORD}".encode()).decode()

    def serve(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST" and environ.get("HTTP_AUTHORIZATION") != wanted:
            start("401 Unauthorized", [("content-type", "text/plain")])
            return [b"no"]
        found: Iterable[bytes] = inner(environ, start)
        return found

    return serve


OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
SPACES = {"s": f"{OASIS}wssecurity-secext-1.0.xsd", "u": f"{OASIS}wssecurity-utility-1.0.xsd"}
SEEN: set[str] = set()
FAULT = (
    '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault xmlns:w="{space}">'
    "<faultcode>{code}</faultcode><faultstring>{words}</faultstring></e:Fault></e:Body></e:Envelope>"
)


def judged(content: bytes, way: str) -> tuple[str, str]:
    """The fault's code, empty when all is well, and what came."""
    root = etree.fromstring(content)

    def said(path: str) -> str:
        token = "/*/*[local-name()='Header']/s:Security/s:UsernameToken"
        return str(root.xpath(f"string({token}/{path})", namespaces=SPACES))

    user, password, kind = said("s:Username"), said("s:Password"), said("s:Password/@Type")
    nonce, created = said("s:Nonce"), said("u:Created")
    came = f"{user} {password} {nonce}"
    if user != "ada&<b>" or not kind.endswith(f"username-token-profile-1.0#Password{way.title()}"):
        return "w:FailedAuthentication", came
    if way == "text":
        return ("" if password == CANARY else "w:FailedAuthentication"), came
    whole = base64.b64decode(nonce) + created.encode() + CANARY.encode()
    if password != base64.b64encode(hashlib.sha1(whole).digest()).decode():
        return "w:FailedAuthentication", came
    age = (datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds()
    if nonce in SEEN or abs(age) > 300:
        return "w:InvalidSecurity", f"replay {came}"
    SEEN.add(nonce)
    return "", came


CANARY = "canary&<hunter2>-canary"


def secured(inner: Any, way: str) -> Callable[..., Iterable[bytes]]:
    def serve(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            content = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            environ["wsgi.input"] = io.BytesIO(content)
            code, came = judged(content, way)
            if not code and b"always-busy" in content:
                code = "e:Server"
                came = f"try again, {came}"
            if code:
                start("500 Internal Server Error", [("content-type", "text/xml; charset=utf-8")])
                words = came.replace("&", "&amp;").replace("<", "&lt;")
                return [FAULT.format(space=SPACES["s"], code=code, words=words).encode()]
        found: Iterable[bytes] = inner(environ, start)
        return found

    return serve


def main() -> None:
    protocol = {"11": Soap11, "12": Soap12}[sys.argv[1]]
    application = Application([Desk], "urn:desk", in_protocol=protocol(validator="lxml"), out_protocol=protocol())
    inner = WsgiApplication(application)
    served = secured(inner, sys.argv[2]) if len(sys.argv) > 2 else guarded(inner)
    with make_server("127.0.0.1", 0, served, handler_class=Quiet) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
