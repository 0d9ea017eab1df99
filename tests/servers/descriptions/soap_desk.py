# pyright: basic
"""A SOAP service of somebody else's making (spyne) on loopback: `python -m tests.servers.descriptions.soap_desk 11|12`.

Prints its port. It answers 401 unless the right password comes with the request.
"""

import base64
import sys
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

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


def main() -> None:
    protocol = {"11": Soap11, "12": Soap12}[sys.argv[1]]
    application = Application([Desk], "urn:desk", in_protocol=protocol(validator="lxml"), out_protocol=protocol())
    with make_server("127.0.0.1", 0, guarded(WsgiApplication(application)), handler_class=Quiet) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
