"""What leaves a server for its operator: OTLP, the page for Prometheus, structured logs. Real processes, real wires."""

import contextlib
import json
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.attacks.host_wire import COMMAND, Installed, http_server, install

from clew.servers.sandbox import Sandbox

pytestmark = pytest.mark.anyio
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@dataclass(slots=True)
class Collector:
    """An OTLP collector: what was posted, by path."""

    url: str = ""
    posted: dict[str, list[bytes]] = field(default_factory=dict[str, list[bytes]])

    def spans(self) -> dict[str, set[str]]:
        """The traces of the spans, by their name."""
        parsed = [ExportTraceServiceRequest.FromString(body) for body in self.posted.get("/v1/traces", [])]
        found: dict[str, set[str]] = {}
        for request in parsed:
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        found.setdefault(span.name, set()).add(span.trace_id.hex())
        return found

    def metrics(self) -> set[str]:
        """The names of the metrics."""
        parsed = [ExportMetricsServiceRequest.FromString(body) for body in self.posted.get("/v1/metrics", [])]
        return {
            metric.name
            for request in parsed
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def collector() -> Generator[Collector]:
    found = Collector()

    class Door(BaseHTTPRequestHandler):
        def log_message(self, format: str, *values: object) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.posted.setdefault(self.path, []).append(body)
            self.send_response(200)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = Thread(target=server.serve_forever)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def sandbox() -> Generator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
async def installed(tmp_path: Path, sandbox: Sandbox) -> Installed:
    return await install(tmp_path, sandbox)


@contextlib.asynccontextmanager
async def served(installed: Installed, log: Path, *words: str, **more: str) -> AsyncGenerator[Client]:
    """`clew serve acme …` over stdio, with its standard error in a file."""
    environment = {**installed.environment, **more}
    parameters = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], *words], env=environment)
    with log.open("w") as errors:
        async with Client(stdio_client(parameters, errlog=errors)) as client:
            yield client


async def test_spans_and_metrics_go_to_a_collector_and_logs_are_json(
    installed: Installed, collector: Collector, sandbox: Sandbox, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    more = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "CLEW_LOG_FORMAT": "json", "CLEW_LOG_LEVEL": "info"}
    async with served(installed, log, **more) as client:
        meta = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
        await client.call_tool("get_contact", {"contact_id": "con_000001"}, meta=meta)  # type: ignore[arg-type]
        await client.call_tool("get_contact", {"contact_id": "con_999999"})
    spans = collector.spans()
    assert {"acme.get_contact", "clew consent", "clew run", "GET /api/contacts/{}"} <= set(spans)
    assert TRACE in spans["acme.get_contact"], "the host's trace goes on"
    assert len(spans["acme.get_contact"]) == 2, "a call without one has its own"
    assert {"clew.calls", "clew.call.duration", "clew.requests", "clew.tokens"} <= collector.metrics()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    records = [each["record"] for each in lines if each["logger"] == "clew.audit"]
    assert [each["code"] for each in records] == ["ok", "not_found"]
    everything = b"".join(body for bodies in collector.posted.values() for body in bodies) + log.read_bytes()
    assert sandbox.pat.encode() not in everything
    assert b"lovelace1@customer.example" not in everything


async def test_the_page_for_prometheus_counts_the_calls(installed: Installed) -> None:
    measured = replace(installed, environment={**installed.environment, "CLEW_METRICS": "1"})
    async with http_server(measured) as url, Client(url) as client, httpx.AsyncClient(trust_env=False) as watcher:
        await client.call_tool("get_contact", {"contact_id": "con_000001"})
        address = url.replace("/mcp", "/metrics")
        page = await watcher.get(address)
        foreign = await watcher.get(address, headers={"host": "evil.example"})
    assert page.headers["content-type"].startswith("text/plain")
    counted = [line for line in page.text.splitlines() if line.startswith("clew_calls_total{")]
    assert len(counted) == 1
    for part in ('connector="acme"', 'tool="get_contact"', 'code="ok"', 'outcome="not_applied"', "} 1.0"):
        assert part in counted[0]
    assert "main" not in counted[0], "accounts may be people"
    assert foreign.status_code == 421


@pytest.mark.slow
async def test_discovery_and_chosen_tools_hold_for_a_served_process(installed: Installed, tmp_path: Path) -> None:
    async with served(installed, tmp_path / "log", "--discover") as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == [
            "call_tool",
            "describe_tool",
            "search_tools",
        ]
        found = await client.call_tool("search_tools", {"query": "delete contact"})
        assert (found.structured_content or {})["tools"][0]["name"] == "delete_contact"
        described = await client.call_tool("describe_tool", {"name": "get_contact"})
        assert "contact_id" in (described.structured_content or {})["input_schema"]["properties"]
        call = {"name": "get_contact", "arguments": {"contact_id": "con_000001"}}
        got = await client.call_tool("call_tool", call)
        assert (got.structured_content or {})["email"] == "lovelace1@customer.example"
        missing = await client.call_tool("call_tool", {"name": "get_nothing", "arguments": {}})
        assert "search_tools" in (missing.structured_content or {})["error"]["next"]
    async with served(installed, tmp_path / "log", "--tools", "get_contact,search_contacts") as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["get_contact", "search_contacts"]
