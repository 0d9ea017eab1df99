"""What real descriptions say of arguments, and hosts refuse: several types, none, empty choices, odd names."""

from pathlib import Path
from typing import Any

import pytest

from clew.servers.descriptions.live import connector_of
from clew.servers.descriptions.names import saying
from clew.servers.descriptions.writing import module_of
from clew.testing.schemas import faults

from . import OK, document, read
from .test_openapi import load

TEXT = {"type": "string"}
ANYTHING = ["string", "integer", "number", "boolean", "object"]


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        ({"oneOf": [TEXT, {"type": "integer"}]}, "string"),  # GitHub: the title of an issue
        (
            {"anyOf": [{"enum": [""], **TEXT}, {"type": "object", "properties": {"a": TEXT}}]},
            "object",
        ),  # Stripe: address
        ({"anyOf": [{"type": "array", "items": TEXT}, TEXT]}, "array"),
        ({"type": ["string", "integer", "null"]}, "string"),
        ({"oneOf": [{"oneOf": [{"type": "boolean"}, {"type": "integer"}]}, {"type": "null"}]}, "integer"),
        ({"type": "string", "enum": ["", "late"]}, "string"),
        ({"type": "object", "properties": {"The position of the gadget.": TEXT}}, "object"),  # Jira
        ({}, ANYTHING),  # Jira: the value of a property
        ({"type": "array", "items": {}}, "array"),
        ({"oneOf": [{"$ref": "#/components/schemas/Self"}]}, ANYTHING),
    ],
)
def test_every_argument_has_a_type_that_hosts_take(schema: dict[str, Any], shown: Any, tmp_path: Path) -> None:
    body = {"type": "object", "required": ["it"], "properties": {"it": schema}}
    operation = {"requestBody": {"content": {"application/json": {"schema": body}}, "required": True}, "responses": OK}
    endless = {"oneOf": [{"$ref": "#/components/schemas/Self"}, {"$ref": "#/components/schemas/Self"}]}
    found = read(document({"/things": {"post": operation}}, components={"schemas": {"Self": endless}}))
    served = connector_of(found).tools["create_thing"].signature.input_schema
    written = load(module_of(found, found.chosen()), tmp_path).tools["create_thing"].signature.input_schema
    assert served == written
    kind = served["properties"]["it"]
    assert shown in (kind.get("type"), [each["type"] for each in kind.get("anyOf", ())])
    assert kind.get("enum") in (None, ["late"])
    assert list(faults(served, strict=True)) == []


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (("Get user", "Reads a user with all that is public."), "Reads a user with all that is public."),
        (("Get user", None), "Get user of this API."),
        (("", None, "Get user by username"), "Get user by username."),
        (("List tickets, oldest first", "More."), "List tickets, oldest first."),
    ],
)
def test_a_tool_says_enough_to_be_chosen(texts: tuple[Any, ...], says: str) -> None:
    assert saying(*texts) == says
