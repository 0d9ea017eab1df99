"""What the official suite asks for and no connector of clew offers: pictures, sampling, roots, prompts, completion.

They are handlers on the very server that clew builds, so its transport, its sealed state and its checks are under test;
what clew offers itself is in `connector.py`.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mcp import MCPError, types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server

from clew.servers.runtime import Runtime

Context = ServerRequestContext[Any, Any]
Answer = types.CallToolResult | types.InputRequiredResult
Tool = Callable[[Context, types.CallToolRequestParams], Awaitable[Answer]]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
WAV = base64.b64encode(b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0@\x1f\0\0\1\0\x08\0data\0\0\0\0").decode()
NAME: Mapping[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
DEFAULTS = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}
ONE, TWO, THREE = ("option1", "option2", "option3"), ("value1", "value2", "value3"), ("opt1", "opt2", "opt3")
TITLED = [{"const": value, "title": value.title()} for value in TWO]
ENUMS = {
    "untitledSingle": {"type": "string", "enum": [*ONE]},
    "titledSingle": {"type": "string", "oneOf": TITLED},
    "legacyEnum": {"type": "string", "enum": [*THREE], "enumNames": [value.title() for value in THREE]},
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": [*ONE]}},
    "titledMulti": {"type": "array", "items": {"anyOf": TITLED}},
}
SCHEMA_2020: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
HEADER_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
}


def text(said: str) -> types.TextContent:
    return types.TextContent(type="text", text=said)


def said(*content: types.ContentBlock) -> types.CallToolResult:
    return types.CallToolResult(content=list(content))


def picture() -> types.ImageContent:
    return types.ImageContent(type="image", data=PNG, mime_type="image/png")


def embedded(uri: str) -> types.EmbeddedResource:
    contents = types.TextResourceContents(uri=uri, mime_type="text/plain", text="This is an embedded resource content.")
    return types.EmbeddedResource(type="resource", resource=contents)


def form(message: str, schema: Mapping[str, Any] = NAME) -> types.ElicitRequest:
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=dict(schema)))


def sampling(prompt: str) -> types.CreateMessageRequest:
    messages = [types.SamplingMessage(role="user", content=text(prompt))]
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=messages, max_tokens=100))


def asks(state: str | None = None, **requests: Any) -> types.InputRequiredResult:
    return types.InputRequiredResult(input_requests=requests, request_state=state)


class Guests:
    """The handlers, and the ones of clew behind them."""

    def __init__(self, server: Server[Any], runtime: Runtime) -> None:
        self._runtime = runtime
        self._inner = {method: server.get_request_handler(method) for method in ("tools/list", "tools/call")}
        self._resources = {method: server.get_request_handler(method) for method in ("resources/read",)}
        self._tools: dict[str, Tool] = {
            name: getattr(self, name) for name in dir(self) if name.startswith(("test_", "json_schema"))
        }
        self._schemas: dict[str, Mapping[str, Any]] = {
            "json_schema_2020_12_tool": SCHEMA_2020,
            "test_x_mcp_header": HEADER_SCHEMA,
        }
        self._known = server.get_tool_input_schema
        server.get_tool_input_schema = self.schema_of
        paged, add = types.PaginatedRequestParams, server.add_request_handler
        add("tools/list", paged, self.list_tools)
        add("tools/call", types.CallToolRequestParams, self.call_tool)
        add("resources/list", paged, self.list_resources)
        add("resources/templates/list", paged, self.list_templates)
        add("resources/read", types.ReadResourceRequestParams, self.read_resource)
        add("resources/subscribe", types.SubscribeRequestParams, self.nothing)
        add("resources/unsubscribe", types.UnsubscribeRequestParams, self.nothing)
        add("prompts/list", paged, self.list_prompts)
        add("prompts/get", types.GetPromptRequestParams, self.get_prompt)
        add("completion/complete", types.CompleteRequestParams, self.complete)
        add("logging/setLevel", types.SetLevelRequestParams, self.nothing)

    def schema_of(self, name: str) -> Mapping[str, Any] | None:
        return self._schemas.get(name) or (self._known(name) if self._known else None)

    async def list_tools(self, context: Context, params: types.PaginatedRequestParams) -> types.ListToolsResult:
        ours = await self._call("tools/list", context, params)
        empty: dict[str, Any] = {"type": "object"}
        guests = [
            types.Tool(name=name, description=name, input_schema=dict(self._schemas.get(name, empty)))
            for name in sorted(self._tools)
        ]
        return types.ListToolsResult(tools=[*ours.tools, *guests])

    async def call_tool(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        if params.name in self._tools:
            return await self._tools[params.name](context, params)
        answer: Answer = await self._call("tools/call", context, params)
        return answer

    async def _call(self, method: str, context: Context, params: Any) -> Any:
        entry = self._inner.get(method) or self._resources[method]
        assert entry is not None
        return await entry.handler(context, params)

    async def nothing(self, context: Context, params: Any) -> types.EmptyResult:
        return types.EmptyResult()

    # tools

    async def test_image_content(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        return said(picture())

    async def test_audio_content(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        return said(types.AudioContent(type="audio", data=WAV, mime_type="audio/wav"))

    async def test_embedded_resource(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        return said(embedded("test://embedded-resource"))

    async def test_multiple_content_types(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        return said(text("Multiple content types test:"), picture(), embedded("test://mixed-content-resource"))

    async def test_tool_with_logging(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
            log = context.session.send_log_message  # pyright: ignore[reportDeprecated]
            await log("info", line, related_request_id=context.request_id)
        return said(text("done"))

    async def test_sampling(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        prompt = str((params.arguments or {}).get("prompt", ""))
        messages = [types.SamplingMessage(role="user", content=text(prompt))]
        sample = context.session.create_message  # pyright: ignore[reportDeprecated]
        answer = await sample(messages, max_tokens=100, related_request_id=context.request_id)
        return said(text(f"LLM response: {answer.content}"))

    async def test_elicitation_sep1034_defaults(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        return await self._elicit(context, DEFAULTS)

    async def test_elicitation_sep1330_enums(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        return await self._elicit(context, ENUMS)

    @staticmethod
    async def _elicit(context: Context, properties: Mapping[str, Any]) -> Answer:
        schema: dict[str, Any] = {"type": "object", "properties": dict(properties), "required": []}
        answer = await context.session.elicit_form("Please fill in.", schema, related_request_id=context.request_id)
        return said(text(f"Elicitation completed: action={answer.action}, content={json.dumps(answer.content)}"))

    async def json_schema_2020_12_tool(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        return said(text("done"))

    async def test_x_mcp_header(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        return said(text("done"))

    async def test_reconnection(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        return said(text("done"))

    async def test_missing_capability(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        needed = types.ClientCapabilities(sampling=types.SamplingCapability())
        if not context.session.check_client_capability(needed):
            data: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
            raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "This tool needs sampling.", data)
        return said(text("done"))

    async def test_trigger_tool_change(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        if self._runtime.tools_changed is not None:
            await self._runtime.tools_changed()
        return said(text("done"))

    async def test_input_required_result_elicitation(
        self, context: Context, params: types.CallToolRequestParams
    ) -> Answer:
        answer = (params.input_responses or {}).get("user_name")
        if isinstance(answer, types.ElicitResult) and isinstance((answer.content or {}).get("name"), str):
            return said(text(f"Hello, {(answer.content or {})['name']}!"))
        return asks(user_name=form("What is your name?"))

    async def test_input_required_result_sampling(
        self, context: Context, params: types.CallToolRequestParams
    ) -> Answer:
        answer = (params.input_responses or {}).get("capital_question")
        if answer is not None:
            return said(text(str(answer)))
        return asks(capital_question=sampling("What is the capital of France?"))

    async def test_input_required_result_list_roots(
        self, context: Context, params: types.CallToolRequestParams
    ) -> Answer:
        answer = (params.input_responses or {}).get("client_roots")
        return said(text(str(answer))) if answer is not None else asks(client_roots=types.ListRootsRequest())

    async def test_input_required_result_request_state(
        self, context: Context, params: types.CallToolRequestParams
    ) -> Answer:
        if params.request_state == "asked" and params.input_responses:
            return said(text("state-ok"))
        return asks("asked", confirm=form("Please confirm"))

    test_input_required_result_tampered_state = test_input_required_result_request_state

    async def test_input_required_result_multiple_inputs(
        self, context: Context, params: types.CallToolRequestParams
    ) -> Answer:
        if params.request_state == "asked" and len(params.input_responses or {}) == 3:
            return said(text("done"))
        return asks(
            "asked",
            user_name=form("What is your name?"),
            greeting=sampling("Generate a greeting"),
            client_roots=types.ListRootsRequest(),
        )

    async def test_input_required_result_multi_round(
        self, context: Context, params: types.CallToolRequestParams
    ) -> Answer:
        answers = params.input_responses or {}
        if params.request_state == "one" and "step1" in answers:
            return asks("two", step2=form("Step 2: What is your favorite color?"))
        if params.request_state == "two" and "step2" in answers:
            return said(text("done"))
        return asks("one", step1=form("Step 1: What is your name?"))

    async def test_input_required_result_capabilities(
        self, context: Context, params: types.CallToolRequestParams
    ) -> Answer:
        if params.input_responses:
            return said(text("done"))
        declared = context.session.client_capabilities or types.ClientCapabilities()
        requests: dict[str, Any] = {}
        if declared.elicitation is not None:
            requests["user_name"] = form("What is your name?")
        if declared.sampling is not None:
            requests["greeting"] = sampling("Generate a greeting")
        return asks(**requests) if requests else said(text("there is nothing to ask with"))

    # resources, prompts, completion

    async def list_resources(self, context: Context, params: Any) -> types.ListResourcesResult:
        names = ("static-text", "static-binary", "watched-resource")
        return types.ListResourcesResult(resources=[types.Resource(uri=f"test://{name}", name=name) for name in names])

    async def list_templates(self, context: Context, params: Any) -> types.ListResourceTemplatesResult:
        template = types.ResourceTemplate(uri_template="test://template/{id}/data", name="template")
        return types.ListResourceTemplatesResult(resource_templates=[template])

    async def read_resource(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult | types.InputRequiredResult:
        uri = str(params.uri)
        known = {
            "test://static-text": "This is the content of the static text resource.",
            "test://watched-resource": ".",
        }
        if uri == "test://static-binary":
            blob = types.BlobResourceContents(uri=uri, mime_type="image/png", blob=PNG)
            return types.ReadResourceResult(contents=[blob])
        if uri.startswith("test://template/"):
            known[uri] = json.dumps({"id": uri.split("/")[3], "templateTest": True})
        if uri in known:
            contents = types.TextResourceContents(uri=uri, mime_type="text/plain", text=known[uri])
            return types.ReadResourceResult(contents=[contents])
        found: types.ReadResourceResult = await self._call("resources/read", context, params)
        return found

    async def list_prompts(self, context: Context, params: Any) -> types.ListPromptsResult:
        arguments = [types.PromptArgument(name=name, required=True) for name in ("arg1", "arg2")]
        return types.ListPromptsResult(
            prompts=[
                types.Prompt(name="test_simple_prompt", description="simple"),
                types.Prompt(name="test_prompt_with_arguments", description="with arguments", arguments=arguments),
                types.Prompt(
                    name="test_prompt_with_embedded_resource",
                    description="with a resource",
                    arguments=[types.PromptArgument(name="resourceUri", required=True)],
                ),
                types.Prompt(name="test_prompt_with_image", description="with a picture"),
                types.Prompt(name="test_input_required_result_prompt", description="asks first"),
            ]
        )

    async def get_prompt(
        self, context: Context, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult | types.InputRequiredResult:
        given = params.arguments or {}
        content: types.ContentBlock = text(f"{params.name}: {', '.join(given.values())}")
        if params.name == "test_input_required_result_prompt" and not params.input_responses:
            return asks(user_context=form("What context should the prompt use?"))
        if params.name == "test_prompt_with_embedded_resource":
            content = embedded(given.get("resourceUri", "test://resource"))
        if params.name == "test_prompt_with_image":
            content = picture()
        return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=content)])

    async def complete(self, context: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        await asyncio.sleep(0)
        return types.CompleteResult(completion=types.Completion(values=["test"], total=1, has_more=False))
