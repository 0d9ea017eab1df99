"""The Tasks extension of MCP (SEP-2663), for hosts that declare it: an accepted workflow is a task that they poll.

https://modelcontextprotocol.io/seps/2663-tasks-extension. The handle is that of `get_operation`. Questions are asked
before a task is made, so none of ours ever waits for input.
"""

from collections.abc import Mapping
from typing import Any, cast

from mcp import MCPError, types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server

from clew.core.errors import CallError, OutcomeUnknownError, TransientError
from clew.core.operations import Operation, operation
from clew.core.settling import error_of
from clew.servers.ask import MODERN
from clew.servers.operation_tools import find_operation, moment, next_of
from clew.servers.origins import tenant_of
from clew.servers.rendering import fail, succeed
from clew.servers.results import Spill
from clew.servers.runtime import Runtime

EXTENSION = "io.modelcontextprotocol/tasks"
PATIENCE = 2.0
"""Seconds after which a workflow becomes a task: a host that polls can show how far it is."""
_POLL_MS = 2000
_MISSING_CAPABILITY = -32021
Context = ServerRequestContext[Any, Any]


class TaskParams(types.RequestParams):
    """The parameters of every method of the extension; `inputResponses` are not used."""

    task_id: str


def declared(context: Context) -> bool:
    """Did the client say in this very request that it knows tasks?"""
    capabilities = context.session.client_capabilities
    extensions = capabilities.extensions if capabilities else None
    return context.protocol_version >= MODERN and EXTENSION in (extensions or {})


class Tasks:
    """The three methods over the operations of one server."""

    def __init__(self, runtime: Runtime, spill: Spill) -> None:
        self._runtime = runtime
        self._spill = spill

    def offer(self, server: Server[Any]) -> None:
        """Declare the extension and serve its methods."""
        server.extensions[EXTENSION] = {}
        server.add_request_handler("tasks/get", TaskParams, self.get)
        server.add_request_handler("tasks/update", TaskParams, self.update)
        server.add_request_handler("tasks/cancel", TaskParams, self.cancel)

    def patience(self, context: Context) -> float:
        """Seconds after which a workflow's caller gets a handle."""
        return PATIENCE if declared(context) else self._runtime.settings.deadline

    async def answer(self, context: Context, result: Mapping[str, Any], caller: str) -> types.CallToolResult:
        """The result of a call, which may have become a task."""
        accepted: Mapping[str, Any] = result.get("accepted") or {}
        handle = accepted.get("operation")
        if handle is None or not declared(context):
            return succeed(result, caller)
        task = {"resultType": "task", **self._facts(await self._found(context, handle)), "status": "working"}
        return cast("types.CallToolResult", task)  # the SDK sends it as it is; its types know no extensions

    async def get(self, context: Context, params: TaskParams) -> dict[str, Any]:
        """How far a task is, and its result."""
        found = await self._asked(context, params)
        caller = context.session.client_params.client_info.name if context.session.client_params else ""
        status, result = self._status(found, caller)
        ended = {} if result is None else {"result": result.model_dump(by_alias=True, mode="json", exclude_none=True)}
        return {**self._facts(found), "status": status, **ended}

    async def update(self, context: Context, params: TaskParams) -> dict[str, Any]:
        """Nothing was asked, so no answer is taken."""
        await self._asked(context, params)
        return {}

    async def cancel(self, context: Context, params: TaskParams) -> dict[str, Any]:
        """Stop it where it is. What has been done stays done; the same call goes on."""
        found = await self._asked(context, params)
        if found.state == "running":
            await self._runtime.operations.cancel(found.row.id)
        return {}

    async def _asked(self, context: Context, params: TaskParams) -> Operation:
        if context.protocol_version < MODERN:
            raise MCPError(types.METHOD_NOT_FOUND, "Method not found", context.method)
        if not declared(context):
            needed: dict[str, Any] = {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
            raise MCPError(_MISSING_CAPABILITY, f"Declare {EXTENSION} to use tasks.", needed)
        return await self._found(context, params.task_id)

    async def _found(self, context: Context, handle: str) -> Operation:
        journal = self._runtime.store.journal
        try:
            whose = self._runtime.tenancy.of(tenant_of(context))
            return await operation(journal, await find_operation(journal, self._runtime.serves, handle, whose))
        except CallError as error:
            raise MCPError(types.INVALID_PARAMS, error.message) from None

    def _facts(self, found: Operation) -> dict[str, Any]:
        kept = self._runtime.settings.keep_results
        return {
            "taskId": found.row.id,
            "statusMessage": _message(found),
            "createdAt": moment(found.row.created_at),
            "lastUpdatedAt": moment(found.updated),
            "ttlMs": int(kept * 1000) if kept else None,
            "pollIntervalMs": _POLL_MS,
        }

    def _status(self, found: Operation, caller: str) -> tuple[str, types.CallToolResult | None]:
        if found.state == "running":
            return "working", None
        if found.state == "unknown" and found.row.code == "cancelled":
            return "cancelled", None
        if found.state == "applied" and found.error is None:
            return "completed", succeed(self._spill.cut(found.result or {}, found.row.connection.tenant), caller)
        return "completed", fail(_error(found), caller)


def _error(found: Operation) -> CallError:
    if found.error is not None:
        return error_of(found.error)
    kind = TransientError if found.state == "not_applied" else OutcomeUnknownError
    return kind(f"{found.row.tool} was not done to its end.", next_step=next_of(found))


def _message(found: Operation) -> str:
    last = found.steps[-1].tool if found.steps else ""
    undone = f" Undone: {', '.join(found.undone)}." if found.undone else ""
    step = f" Step {len(found.steps)}: {last}." if last else ""
    return f"{found.row.tool}: {found.state}.{step}{undone}"
