"""Every connector of ours passes `clew check`, every check of it, with nothing left out that could be looked at."""

from functools import cache
from pathlib import Path

import pytest

from clew.core.registry import discover
from clew.testing.answers import read_answers
from clew.testing.kit import CHECKS, Subject, check, run

OURS = sorted(name for name, entry in discover().items() if entry.value.startswith("clew.connectors."))
FEWEST = 8


@cache
def subject(name: str) -> Subject:
    return Subject.of(name)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("check", CHECKS)
def test_a_connector_of_ours_is_fit(check: str, name: str) -> None:
    seen = run(check, subject(name))
    assert [finding.line for finding in seen.findings if not finding.advice] == []
    assert [why for why in seen.skipped if "give it" in why] == []


@pytest.mark.parametrize("name", OURS)
def test_a_connector_of_ours_has_enough_recorded_answers(name: str) -> None:
    assert len(list(read_answers(subject(name).examples))) >= FEWEST


SOURCES = {
    "openapi": """
openapi: 3.1.0
info: {title: Help desk, version: "1"}
servers: [{url: "https://desk.example.com"}]
security: [{token: []}]
components: {securitySchemes: {token: {type: http, scheme: bearer}}}
paths:
  /tickets/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get:
      operationId: getTicket
      summary: Read one ticket
      responses:
        "200": {description: A ticket, content: {application/json: {schema: {$ref: "#/components/schemas/T"}}}}
    delete: {operationId: deleteTicket, summary: Delete a ticket, responses: {"204": {description: Gone}}}
""".replace("components: {", "components: {schemas: {T: {type: object, properties: {id: {type: string}}}}, "),
    "graphql": 'type Query { "Find one issue." issue(id: ID!): Issue }\ntype Issue { id: ID! title: String! }\n',
    "soap": """<?xml version="1.0"?>
<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"
  xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" targetNamespace="urn:t">
<types><x:schema targetNamespace="urn:t" elementFormDefault="qualified">
<x:element name="Ask"><x:complexType><x:sequence>
<x:element name="id" type="x:int"/></x:sequence></x:complexType></x:element>
<x:element name="Ticket"><x:complexType><x:sequence><x:element name="id" type="x:int"/>
<x:element name="subject" type="x:string"/></x:sequence></x:complexType></x:element>
</x:schema></types>
<message name="In"><part name="p" element="t:Ask"/></message>
<message name="Out"><part name="p" element="t:Ticket"/></message>
<portType name="P">
<operation name="getTicket"><input message="t:In"/><output message="t:Out"/></operation>
<operation name="closeTicket"><input message="t:In"/><output message="t:Out"/></operation>
<operation name="deleteTicket"><input message="t:In"/><output message="t:Out"/></operation>
</portType>
<binding name="B" type="t:P"><s:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
<operation name="getTicket"><input><s:body use="literal"/></input>
<output><s:body use="literal"/></output></operation>
<operation name="closeTicket"><input><s:body use="literal"/></input>
<output><s:body use="literal"/></output></operation>
<operation name="deleteTicket"><input><s:body use="literal"/></input>
<output><s:body use="literal"/></output></operation>
</binding>
<service name="Desk"><port name="One" binding="t:B">
<s:address location="https://desk.example.com/soap"/></port></service>
</definitions>""",
    "sql": """
address = "sqlite:///shop.db"
[query.list_late]
help = "List late invoices."
sql = "SELECT id FROM invoices WHERE due < :day ORDER BY id"
parameters = {day = {type = "date"}}
[write.delete_invoice]
help = "Delete an invoice."
sql = "DELETE FROM invoices WHERE id = :id"
parameters = {id = {type = "integer"}}
repeatable = true
""",
}


FILES = {"sql": "shop.toml", "graphql": "schema.graphql", "soap": "desk.wsdl"}
OPTIONS = {"graphql": "#url=https://work.example.com/graphql&auth=bearer", "soap": "#auth=basic"}


@pytest.mark.parametrize("source", SOURCES)
def test_what_a_description_makes_is_fit_too(source: str, tmp_path: Path) -> None:
    file = tmp_path / FILES.get(source, "desk.yaml")
    file.write_text(SOURCES[source])
    card = check(f"{source}:{file}{OPTIONS.get(source, '')}")
    assert card.passed, card.as_dict()
    assert card.seen["effects"].count > 0
    assert card.seen["chaos"].count > 0
    assert card.seen["snapshot"].skipped


def test_there_are_enough_connectors() -> None:
    assert len(OURS) >= 25


def test_no_examples_are_left_without_a_connector() -> None:
    home = subject("acme").home.parent
    assert sorted(each.name for each in home.iterdir() if each.is_dir()) == sorted(set(OURS))
