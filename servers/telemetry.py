"""Traces and metrics by OpenTelemetry, made from the audit's records when a call has ended.

A call therefore pays nothing while it runs, a trace never says anything else than the audit, and what is not in a
record (arguments' text, results, credentials, the provider's words) cannot get into a span or a label. Labels are
names from the connectors and our codes; accounts and tenants are left out, for they may be people.

Configured as everywhere, by `OTEL_EXPORTER_OTLP_ENDPOINT` and its relatives; `/metrics` by the setting `metrics`.
"""

import contextlib
import logging
import os
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any

from clew import __version__
from clew.core.audit import Attempt, Record
from clew.core.errors import ConfigurationError
from clew.core.values import dataclass

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Span, Tracer

log = logging.getLogger(__name__)

_VARIABLES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)


@dataclass(slots=True)
class Telemetry:
    """Sees every record and makes spans and metrics of it. `page` gives the text of `/metrics`."""

    spans: "Spans | None" = None
    figures: "Figures | None" = None
    registry: Any = None

    def __call__(self, record: Record) -> None:
        """A call has ended."""
        if self.spans is not None:
            self.spans(record)
        if self.figures is not None:
            self.figures(record)

    def page(self) -> bytes:
        """What Prometheus reads."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)


@contextlib.asynccontextmanager
async def open_telemetry(
    *, metrics: bool, environment: Mapping[str, str] | None = None
) -> AsyncGenerator[Telemetry | None]:
    """Telemetry as configured, None when it is not. Raises `ConfigurationError` without the extra `otel`."""
    environment = os.environ if environment is None else environment
    traces, pushed = _wants(environment, "TRACES"), _wants(environment, "METRICS")
    if not (traces or pushed or metrics):
        yield None
        return
    try:
        with contextlib.ExitStack() as stack:
            made = Telemetry(spans=_open_spans(stack) if traces else None)
            if pushed or metrics:
                made.figures, made.registry = _open_metrics(stack, pushed=pushed, page=metrics)
            yield made
    except ImportError as error:
        raise ConfigurationError(f"telemetry needs one more package ({error.name}): pip install 'clew[otel]'") from None


def _wants(environment: Mapping[str, str], signal: str) -> bool:
    named = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT") or environment.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return bool(named) and not off and environment.get(f"OTEL_{signal}_EXPORTER", "otlp") != "none"


def _resource() -> Any:
    from opentelemetry.sdk.resources import Resource

    return Resource.create(
        {"service.name": os.environ.get("OTEL_SERVICE_NAME", "clew"), "service.version": __version__}
    )


def _open_spans(stack: contextlib.ExitStack) -> "Spans":
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)  # the MCP SDK's own spans go the same way, and ours hang below them
    stack.callback(provider.shutdown)
    return Spans(provider.get_tracer("clew", __version__))


def _open_metrics(stack: contextlib.ExitStack, *, pushed: bool, page: bool) -> "tuple[Figures, Any]":
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader

    readers: list[MetricReader] = []
    registry = None
    if pushed:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
    if page:
        from opentelemetry.exporter.prometheus import PrometheusMetricReader
        from prometheus_client import CollectorRegistry

        registry = CollectorRegistry()
        readers.append(PrometheusMetricReader(registry=registry, scope_info_enabled=False))
    provider = MeterProvider(metric_readers=readers, resource=_resource(), shutdown_on_exit=False)
    stack.callback(provider.shutdown)
    return Figures(provider.get_meter("clew", __version__)), registry


class Spans:
    """One trace part for each call: the call, its stages inside each other, and below them the requests."""

    def __init__(self, tracer: "Tracer") -> None:
        self._tracer = tracer

    def __call__(self, record: Record) -> None:
        """Make the spans, with the times that the record holds."""
        from opentelemetry.trace import SpanKind

        facts = {"clew.connector": record.connector, "gen_ai.tool.name": record.tool, "clew.effect": str(record.effect),
                 "clew.reference": record.reference, "clew.outcome": str(record.outcome)}  # fmt: skip
        name = f"{record.connector}.{record.tool}"
        call = self._start(name, _above(record), record.started, facts, SpanKind.INTERNAL)
        inner, opened = call, [(call, record.started + record.seconds)]
        for stage, at, took in record.stages:
            inner = self._start(f"clew {stage}", _inside(inner), record.started + at, {}, SpanKind.INTERNAL)
            opened.append((inner, record.started + at + took))
        for attempt in record.attempts:
            self._attempt(attempt, _inside(inner))
        _judge(call, record.code)
        for span, end in reversed(opened):
            span.end(_nanoseconds(end))

    def _attempt(self, attempt: Attempt, above: "Context") -> None:
        from opentelemetry.trace import SpanKind

        facts: dict[str, Any] = {"http.request.method": attempt.method, "url.template": attempt.route}
        if attempt.status is not None:
            facts["http.response.status_code"] = attempt.status
        name = f"{attempt.method} {attempt.route}"
        span = self._start(name, above, attempt.began, facts, SpanKind.CLIENT)
        _judge(span, attempt.code or "ok")
        at = attempt.began
        for stage, took in attempt.stages.items():
            self._start(f"clew {stage}", _inside(span), at, {}, SpanKind.INTERNAL).end(_nanoseconds(at + took))
            at += took
        span.end(_nanoseconds(attempt.began + attempt.seconds))

    def _start(self, name: str, above: "Context", at: float, facts: Mapping[str, Any], kind: Any) -> "Span":
        return self._tracer.start_span(name, above, kind, attributes=facts, start_time=_nanoseconds(at))


class Figures:
    """Counters and times, labelled by connector, tool, code and outcome."""

    def __init__(self, meter: "Meter") -> None:
        self._calls = meter.create_counter("clew.calls", "{call}", "Calls that have ended")
        self._seconds = meter.create_histogram("clew.call.duration", "s", "How long calls took")
        self._requests = meter.create_counter("clew.requests", "{request}", "Requests to providers")
        self._waited = meter.create_counter("clew.waits", "s", "Time that requests waited for room in rate limits")
        self._tokens = meter.create_counter("clew.tokens", "{token}", "Tokens written and read by models, estimated")
        self._people = meter.create_counter("clew.interventions", "{call}", "Calls in which a person was asked")

    def __call__(self, record: Record) -> None:
        """Count one call."""
        where = {"connector": record.connector, "tool": record.tool}
        self._calls.add(1, {**where, "code": str(record.code), "outcome": str(record.outcome)})
        self._seconds.record(record.seconds, where)
        for attempt in record.attempts:
            status = str(attempt.status or "none")
            self._requests.add(1, {"connector": record.connector, "status": status, "code": str(attempt.code or "ok")})
        self._waited.add(sum(attempt.waited for attempt in record.attempts), {"connector": record.connector})
        self._tokens.add(record.tokens_in, {**where, "direction": "written"})
        self._tokens.add(record.tokens_out, {**where, "direction": "read"})
        if record.why.answer:
            self._people.add(1, {**where, "answer": record.why.answer})


def _above(record: Record) -> "Context":
    """The span that the host's trace goes on from; a trace of its own when there is none."""
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    origin = record.origin
    if not (origin.trace_id and origin.span_id):
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED if origin.sampled else TraceFlags.DEFAULT)
    parent = SpanContext(int(origin.trace_id, 16), int(origin.span_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _inside(span: "Span") -> "Context":
    from opentelemetry.context import Context
    from opentelemetry.trace import set_span_in_context

    return set_span_in_context(span, Context())


def _judge(span: "Span", code: str) -> None:
    from opentelemetry.trace import StatusCode

    if code not in ("ok", "asked"):
        span.set_attribute("error.type", str(code))
        span.set_status(StatusCode.ERROR)


def _nanoseconds(moment: float) -> int:
    return int(moment * 1e9)
