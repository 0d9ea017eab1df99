"""Who makes a call over MCP: the host's name, the trace that it carries on, the task that it labels."""

import re
from collections.abc import Mapping
from typing import Any

from mcp.server.context import ServerRequestContext
from opentelemetry.trace import get_current_span

from clew.core.audit import Origin
from clew.core.errors import quote
from clew.servers.principals import Caller, Principal

TASK = "clew/task"
"""The key of `_meta` under which a host labels the task that a call is a part of."""

_LABEL = re.compile(r"[A-Za-z0-9_.:#/-]{1,64}")


def origin_of(context: ServerRequestContext[Any, Any], *, continues: str = "") -> Origin:
    """The origin of a request. The SDK has opened a span for it, below the `traceparent` of its `_meta`; where no
    OpenTelemetry is configured that span is the host's own. `continues` is the reference of the round before."""
    parameters = context.session.client_params
    client = parameters.client_info if parameters else None
    span = get_current_span().get_span_context()
    meta: Mapping[str, Any] = context.meta or {}
    label = meta.get(TASK)
    principal = principal_of(context)
    return Origin(
        caller=quote(f"{client.name} {client.version}", 60).strip() if client else "",
        principal=quote(principal.name, 100) if principal else "",
        task=label if isinstance(label, str) and _LABEL.fullmatch(label) else "",
        trace_id=f"{span.trace_id:032x}" if span.is_valid else "",
        span_id=f"{span.span_id:016x}" if span.is_valid else "",
        sampled=span.trace_flags.sampled,
        continues=continues,
    )


def principal_of(context: ServerRequestContext[Any, Any]) -> Principal | None:
    """Who makes a request; None where nobody authenticates callers.

    What authenticates them over HTTP (`servers.gate`) leaves them as the `user` of the ASGI scope.
    """
    scope: Mapping[str, Any] = getattr(context.request, "scope", None) or {}
    user = scope.get("user")
    return user.principal if isinstance(user, Caller) else None


def tenant_of(context: ServerRequestContext[Any, Any]) -> str | None:
    """The tenant of whoever makes a request; None where nobody authenticates callers.

    What authenticates them over HTTP leaves the principal, with its `tenant`, as the `user` of the ASGI scope.
    """
    scope: Mapping[str, Any] = getattr(context.request, "scope", None) or {}
    return getattr(scope.get("user"), "tenant", None)
