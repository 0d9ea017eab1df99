"""GraphQL over whole objects: a query is answered with what it selects of them."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import graphql
import httpx

from bench.tokens_upstream import Site

from .shared import Object, body_of

Root = Callable[[str, Mapping[str, Any]], Any]
"""The value of a field of a query or mutation, by its name and arguments."""


def answering(root: Root) -> Site:
    """A site with one endpoint, wherever it is asked for."""

    def answer(request: httpx.Request) -> httpx.Response:
        body = body_of(request)
        data = _select(graphql.parse(body["query"]), body.get("variables") or {}, root)
        return httpx.Response(200, json={"data": data})

    return answer


def _select(document: graphql.DocumentNode, variables: Mapping[str, Any], root: Root) -> Object:
    """What a query selects of the objects, without a schema: none of those to be had is both whole and current."""
    fragments = {
        each.name.value: each for each in document.definitions if isinstance(each, graphql.FragmentDefinitionNode)
    }
    (operation,) = (each for each in document.definitions if isinstance(each, graphql.OperationDefinitionNode))

    def fields(selection: graphql.SelectionSetNode) -> list[graphql.FieldNode]:
        found: list[graphql.FieldNode] = []
        for each in selection.selections:
            if isinstance(each, graphql.FieldNode):
                found.append(each)
            elif isinstance(each, graphql.FragmentSpreadNode):
                found += fields(fragments[each.name.value].selection_set)
            else:
                found += fields(cast("graphql.InlineFragmentNode", each).selection_set)
        return found

    def told(selection: graphql.SelectionSetNode | None, value: Any) -> Any:
        if isinstance(value, list):
            return [told(selection, each) for each in cast("list[Any]", value)]
        if selection is None or value is None:
            return value
        made: Object = {}
        for each in fields(selection):
            name = each.alias.value if each.alias else each.name.value
            made[name] = told(each.selection_set, value.get(each.name.value))
        return made

    made: Object = {}
    for each in fields(operation.selection_set):
        arguments = each.arguments or ()
        given = {arg.name.value: graphql.value_from_ast_untyped(arg.value, dict(variables)) for arg in arguments}
        value = root(each.name.value, given)
        made[each.alias.value if each.alias else each.name.value] = told(each.selection_set, value)
    return made
