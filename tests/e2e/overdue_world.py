"""What the story of the overdue invoice takes place in: Stripe and Salesforce as their documentation describes them, on
loopback, and a mail server that bounces: aiosmtpd with a mailbox beside it, or Postfix and Dovecot where they are.

Stripe: docs.stripe.com/api (invoices). Salesforce: developer.salesforce.com (REST: query, composite, resources).
"""

import base64
import contextlib
import importlib
import re
import sys
import tempfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from tests.attacks.issuer import serving
from tests.connectors.stripe_objects import invoice, listed
from tests.mail.conftest import opened
from tests.mail.servers import PASSWORD, USER, make_certificate
from tests.mail.test_reports import dsn

GONE, OTHER = "gone@away.test", "bob@home.test"
"""The customer's address, which no longer exists, and that of a colleague in accounting."""
STRIPE_KEY, SALESFORCE_KEY = "rk_test_" + "story", "00Dstory!" + "session"
ME, ACCOUNT, ADA, BEA = "005000000000001AAA", "001000000000001AAA", "003000000000001AAA", "003000000000002AAA"
SCRIPTS = str(Path(__file__).resolve().parent.parent.parent / "scripts")


@dataclass
class Stripe:
    """Invoices, to be read; whoever writes here breaks the story."""

    invoices: list[dict[str, Any]] = field(
        default_factory=lambda: [
            invoice(id="in_late", number="A-17", customer_email=GONE, customer_name="Ada Lovelace"),
            invoice(id="in_early", number="A-18", customer_email=OTHER, due_date=4_000_000_000),
        ]
    )
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def app(self) -> Starlette:
        methods = ["GET", "POST", "DELETE"]
        return Starlette(
            routes=[
                Route("/v1/invoices", self._list, methods=methods),
                Route("/v1/invoices/{known}", self._one, methods=methods),
            ]
        )

    def _met(self, request: Request) -> Response | None:
        self.asked.append((request.method, request.url.path))
        good = request.headers.get("authorization") == f"Bearer {STRIPE_KEY}"
        return None if good else JSONResponse({"error": {"type": "invalid_request_error", "message": "key"}}, 401)

    async def _list(self, request: Request) -> Response:
        status = request.query_params.get("status")
        return self._met(request) or JSONResponse(listed(*(one for one in self.invoices if one["status"] == status)))

    async def _one(self, request: Request) -> Response:
        found = [one for one in self.invoices if one["id"] == request.path_params["known"]]
        return self._met(request) or JSONResponse(found[0])


@dataclass
class Salesforce:
    """Contacts that can be queried and notes that can be put on them. `lost` answers of a write are lost in a gateway,
    after the write was done."""

    contacts: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"Id": ADA, "Name": "Ada Lovelace", "Email": GONE, "AccountId": ACCOUNT, "Title": "Owner"},
            {"Id": BEA, "Name": "Bea O'Neil", "Email": OTHER, "AccountId": ACCOUNT, "Title": "Accounting"},
        ]
    )
    notes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    lost: int = 0

    def app(self) -> Starlette:
        base = "/services/data/v66.0"
        routes = [Route(f"{base}/", self._root), Route(f"{base}/query", self._query)]
        return Starlette(routes=[*routes, Route(f"{base}/composite", self._composite, methods=["POST"])])

    def _met(self, request: Request) -> Response | None:
        good = request.headers.get("authorization") == f"Bearer {SALESFORCE_KEY}"
        return None if good else JSONResponse([{"errorCode": "INVALID_SESSION_ID", "message": "m"}], 401)

    async def _root(self, request: Request) -> Response:
        identity = f"https://login.salesforce.com/id/00D000000000001AAA/{ME}"
        return self._met(request) or JSONResponse({"identity": identity})

    async def _query(self, request: Request) -> Response:
        soql = request.query_params["q"]
        kind = re.search(r" FROM (\w+)", soql)
        assert kind is not None
        rows = self.contacts if kind[1] == "Contact" else self.notes
        found = [
            {"attributes": {"type": kind[1], "url": "/x"}, **row}
            for row in rows
            if all(_holds(row, *each) for each in _CONDITION.findall(soql))
        ]
        return self._met(request) or JSONResponse({"totalSize": len(found), "done": True, "records": found})

    async def _composite(self, request: Request) -> Response:
        refused = self._met(request)
        if refused is not None:
            return refused
        note, link = (await request.json())["compositeRequest"]
        known = f"069{len(self.notes):012}AAA"
        self.notes.append(
            {
                "ContentDocumentId": known,
                "LinkedEntityId": link["body"]["LinkedEntityId"],
                "ContentDocument.Title": note["body"]["Title"],
                "ContentDocument.FileType": "SNOTE",
                "ContentDocument.CreatedById": ME,
                "text": base64.b64decode(note["body"]["Content"]).decode(),
            }
        )
        if self.lost:
            self.lost -= 1
            return HTMLResponse("<html><h1>502 Bad Gateway</h1></html>", 502)
        made = [
            {"referenceId": each["referenceId"], "httpStatusCode": 201, "body": {"id": known, "success": True}}
            for each in (note, link)
        ]
        return JSONResponse({"compositeResponse": made})


_CONDITION = re.compile(r"([\w.]+) (=|!=) '((?:[^'\\]|\\.)*)'")


def _holds(row: dict[str, Any], name: str, sign: str, value: str) -> bool:
    same: bool = row[name] == re.sub(r"\\(.)", r"\1", value)
    return same == (sign == "=")


@dataclass(frozen=True)
class PostOffice:
    """A mailbox: its servers, its login, the certificate to trust, and what was taken of aiosmtpd (None: Postfix)."""

    variables: dict[str, str]
    user: str
    password: str
    certificate: Path
    taken: list[tuple[str, list[str], bytes]] | None = None


@contextlib.asynccontextmanager
async def small_office(folder: Path) -> AsyncGenerator[PostOffice]:
    """aiosmtpd takes everything and, as servers do, writes a report about whom it cannot reach."""
    async with opened(make_certificate(folder)) as office:

        async def report(server: Any) -> str:
            _, people, content = office.post.taken[-1]
            if GONE in people:
                heads = content.replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode()
                fields = (
                    "Reporting-MTA: dns; mail.home.test\n\n"
                    f"Final-Recipient: rfc822; {GONE}\nAction: failed\nStatus: 5.1.1\n"
                    f"Diagnostic-Code: smtp; 550 5.1.1 <{GONE}>: Recipient address rejected: User unknown\n"
                )
                office.imap.put("INBOX", dsn(fields, returned=f"Content-Type: text/rfc822-headers\n\n{heads}\n"))
            return "250 2.0.0 Ok: queued as 1"

        office.post.at_end = report
        yield PostOffice(office.variables, USER, PASSWORD, folder / "ca.pem", office.post.taken)


def mail_programs() -> Any:
    """The module that runs Postfix and Dovecot."""
    sys.path.insert(0, SCRIPTS)
    try:
        return importlib.import_module("testbeds.mailhost")
    finally:
        sys.path.remove(SCRIPTS)


@contextlib.asynccontextmanager
async def large_office() -> AsyncGenerator[PostOffice]:
    """Postfix, which forwards to another Postfix that refuses the address, and Dovecot."""
    programs = mail_programs()
    with tempfile.TemporaryDirectory(prefix="clew-story-", ignore_cleanup_errors=True) as folder:
        async with programs.mail_host(Path(folder)) as running:
            yield PostOffice(running.variables(), "alice@home.test", programs.PASSWORDS["alice"], running.ca)


@contextlib.asynccontextmanager
async def providers(stripe: Stripe, salesforce: Salesforce) -> AsyncGenerator[tuple[str, str]]:
    """Both on ports of their own; their origins."""
    async with serving(stripe.app()) as first, serving(salesforce.app()) as second:
        yield first, second
