"""Plans as the tools of a connector in memory: nothing of a description is ever run as code."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, create_model
from typing_extensions import TypedDict

from clew.core.api import Api
from clew.core.connector import Connector, Effect, Tool
from clew.core.errors import ConfigurationError, Outcome, quote
from clew.core.mapping import From
from clew.core.pages import GraphQLPages, Page
from clew.core.registry import discover
from clew.servers.descriptions.envelopes import read_envelope
from clew.servers.descriptions.plans import Argument, Described, Envelope, Offer, Plan
from clew.servers.descriptions.shapes import Shape
from clew.servers.descriptions.sources import content_of, document_of, read_source

CURSOR_HELP = "next_cursor of the previous page."


def open_api(text: str) -> Connector:
    """The connector of an OpenAPI description. Raises `ConfigurationError`."""
    path = Path(text.partition("#")[0])
    return _opened(text, path.stat().st_mtime if path.is_file() else 0.0)


@lru_cache(maxsize=8)
def _opened(text: str, changed: float) -> Connector:
    from clew.servers.descriptions.openapi import OPTIONS, described

    source = read_source(text, OPTIONS)
    root = document_of(content_of(source), source.place)
    return connector_of(described(root, source, name=source.options.get("name", "")))


def open_graphql(text: str) -> Connector:
    """The connector of a GraphQL schema. Raises `ConfigurationError`."""
    path = Path(text.partition("#")[0])
    return _opened_graphql(text, path.stat().st_mtime if path.is_file() else 0.0)


@lru_cache(maxsize=8)
def _opened_graphql(text: str, changed: float) -> Connector:
    from clew.servers.descriptions.graphql import OPTIONS, described_graphql

    return connector_of(described_graphql(read_source(text, OPTIONS)))


def open_soap(text: str) -> Connector:
    """The connector of a WSDL. Raises `ConfigurationError`."""
    path = Path(text.partition("#")[0])
    return _opened_soap(text, path.stat().st_mtime if path.is_file() else 0.0)


@lru_cache(maxsize=8)
def _opened_soap(text: str, changed: float) -> Connector:
    from clew.servers.descriptions.wsdl import OPTIONS, described_wsdl

    return connector_of(described_wsdl(read_source(text, OPTIONS)))


def connector_of(found: Described) -> Connector:
    """A connector with all that is offered. An installed connector's name is not given away: its credentials and its
    settings go by that name. Raises `ConfigurationError` where no operation can be a tool, with the reasons."""
    if found.left_out and not found.offers:
        raise ConfigurationError(f"nothing of {quote(found.title, 80)} can be a tool: {found.why_left_out()}.")
    name = f"{found.name[:36]}_api" if found.name in discover() else found.name
    made = Connector(
        name,
        base_url=found.base_url,
        title=found.title,
        auth=found.schemes or None,
        version=found.version,
        errors=found.errors,
        graphql=found.graphql,
        docs=found.docs,
    )
    made.left_out.update(found.left_out)
    functions = {offer.name: Operation(offer) for offer in found.offers.values()}
    for offer in found.offers.values():
        preview = functions[offer.preview] if offer.preview else None
        made.tools[offer.name] = Tool(
            name,
            offer.name,
            functions[offer.name],
            offer.effect,
            offer.toolset,
            preview,
            scopes=offer.plan.scopes,
            once=offer.plan.once,
        )
    return made


class Operation:
    """The function of a tool. Its types are made when somebody asks: most of a large API's tools are never used."""

    def __init__(self, offer: Offer) -> None:
        self.plan, self.effect = offer.plan, offer.effect
        self.__name__ = offer.name
        self.__doc__ = offer.doc

    @cached_property
    def result(self) -> Any:
        """The type of what comes back, of one item where there are pages."""
        shape = self.plan.result
        found: Any = None if shape is None else typed(shape)
        named = self.plan.method in ("GRAPHQL", "SOAP")
        return found | None if shape is not None and shape.nullable and named else found

    @cached_property
    def types(self) -> Mapping[str, Any]:
        """The parameters' types by name, and under `return` the result's."""
        plan = self.plan
        found = {each.name: _argument(each) for each in plan.arguments}
        if plan.pages is not None:
            found["cursor"] = Annotated[str | None, Field(description=CURSOR_HELP)]
        page: Any = Page
        return {**found, "return": self.result if plan.pages is None else page[self.result]}

    @property
    def __annotations__(self) -> dict[str, Any]:  # type: ignore[override]
        return {"api": Api, **self.types}

    @property
    def __signature__(self) -> inspect.Signature:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter("api", kind)]
        for each in self.plan.arguments:
            parameters.append(inspect.Parameter(each.name, kind, default=kind_default(each)))
        if self.plan.pages is not None:
            parameters.append(inspect.Parameter("cursor", kind, default=None))
        return inspect.Signature(parameters)

    def __call__(self, api: Api, **arguments: Any) -> Awaitable[Any]:
        """Make the request."""
        if self.plan.envelope is not None:
            return self._message(self.plan.envelope, api, arguments)
        return request(self.plan, self.result, api, arguments)

    async def _message(self, envelope: Envelope, api: Api, arguments: Mapping[str, Any]) -> Any:
        """A SOAP message and its answer."""
        headers = {"SOAPAction": envelope.action} if envelope.action else None
        response = await api.request(
            "POST",
            self.plan.path,
            query=dict(self.plan.fixed) or None,
            headers=headers,
            content=envelope.write(_body(self.plan, arguments) or {}),
            content_type=envelope.content_type,
        )
        if self.result is None:
            return None
        outcome = Outcome.NOT_APPLIED if self.effect is Effect.READ else Outcome.APPLIED
        data = read_envelope(response.content, envelope.part, outcome=outcome)
        return api.mapped(response, data, into=self.result)


def kind_default(argument: Argument) -> Any:
    """What a parameter is when it is not given."""
    return inspect.Parameter.empty if argument.required else None


async def request(plan: Plan, into: Any, api: Api, arguments: Mapping[str, Any]) -> Any:
    """The request that a plan describes, with these arguments."""
    if plan.method == "GRAPHQL":
        return await _operation(plan, into, api, arguments)
    values = [arguments[each.name] for each in plan.of("path")]
    query = {each.wire: _query_value(each, arguments.get(each.name)) for each in plan.of("query")}
    headers = {each.wire: str(arguments[each.name]) for each in plan.of("header")}
    more: dict[str, Any] = {"query": query or None, "headers": headers or None}
    if plan.pages is not None:
        return await api.page(plan.path, *values, into=into, cursor=arguments.get("cursor"), pages=plan.pages, **more)
    if plan.method == "DELETE":
        return await api.delete(plan.path, *values, **more)
    if plan.method != "GET":
        more["form" if plan.form else "json"] = _body(plan, arguments)
    send: Callable[..., Awaitable[Any]] = getattr(api, plan.method.lower())
    if plan.result is None:
        await send(plan.path, *values, **more)
        return None
    return await send(plan.path, *values, into=into, at=plan.at, **more)


async def _operation(plan: Plan, into: Any, api: Api, arguments: Mapping[str, Any]) -> Any:
    """The GraphQL operation of a plan, whose path is its document."""
    variables = _body(plan, arguments)
    if isinstance(plan.pages, GraphQLPages):
        cursor = arguments.get("cursor")
        return await api.graphql_page(plan.path, into=into, pages=plan.pages, variables=variables, cursor=cursor)
    return await api.graphql(plan.path, into=into, at=plan.at, variables=variables)


def _query_value(argument: Argument, value: Any) -> Any:
    return ",".join(map(str, value)) if argument.joined and value is not None else value


def _body(plan: Plan, arguments: Mapping[str, Any]) -> Any:
    whole = plan.of("whole")
    if whole:
        return arguments.get(whole[0].name)
    fields = plan.of("body")
    if not fields:
        return None
    return {each.wire: value for each in fields if (value := arguments.get(each.name)) is not None}


def _argument(argument: Argument) -> Any:
    kind = typed(argument.shape)
    kind = kind if argument.required else kind | None
    return Annotated[kind, Field(description=argument.help)] if argument.help else kind


_PLAIN: Mapping[str, Any] = {
    "text": str, "integer": int, "number": float, "boolean": bool, "any": Any,
    "value": str | int | float | bool | dict[str, Any],
}  # fmt: skip


def typed(shape: Shape) -> Any:
    """The Python type of a shape, null aside."""
    if shape.kind in _PLAIN:
        return _PLAIN[shape.kind]
    if shape.kind == "choice":
        return Literal[shape.values]
    if shape.kind == "list":
        return list[typed(shape.item)] if shape.item else list[Any]  # type: ignore[misc]
    if shape.kind == "map":
        return dict[str, Any]
    if shape.kind == "typed":
        fields = {
            each.path: typed(each.shape) if each.required else NotRequired[typed(each.shape)] for each in shape.fields
        }
        made: Any = TypedDict
        return made(shape.name, fields)
    return _model(shape)


def _model(shape: Shape) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for each in shape.fields:
        kind: Any = typed(each.shape)
        optional = each.shape.nullable or not each.required
        kind = kind | None if optional and kind is not Any else kind
        marked: Any = kind if each.path == each.name else Annotated[kind, From(each.path)]
        fields[each.name] = (marked, None if optional else ...)
    return create_model(shape.name, __config__=ConfigDict(protected_namespaces=()), **fields)
