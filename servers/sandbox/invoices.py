"""Invoices: read only, as JSON or as namespaced XML."""

from xml.etree import ElementTree as ET

from starlette.responses import JSONResponse, Response

from .cursors import turn_page
from .gate import Call, Handler
from .refusals import refuse_missing
from .tables import Row, show

NAMESPACE = "https://acme.example/ns/invoice"
_XML_TYPES = ("application/xml", "text/xml")


async def list_invoices(call: Call) -> Response:
    """Answer a page of invoices; in XML the next cursor is an attribute of the root."""
    page, next_cursor = turn_page(call.state.store.invoices, call.query)
    if not _wants_xml(call):
        return JSONResponse({"data": [show(row) for row in page], "next_cursor": next_cursor})
    root = ET.Element(_tag("invoices"), {} if next_cursor is None else {"nextCursor": next_cursor})
    root.extend(_write(row) for row in page)
    return _answer(root)


async def get_invoice(call: Call) -> Response:
    """Answer one invoice."""
    row = call.state.store.invoices.get(call.path_id)
    if row is None:
        raise refuse_missing("invoice", call.path_id)
    return _answer(_write(row)) if _wants_xml(call) else JSONResponse(show(row))


ROUTES: list[tuple[str, str, str | None, Handler]] = [
    ("GET", "/invoices", "invoices:read", list_invoices),
    ("GET", "/invoices/{id}", "invoices:read", get_invoice),
]


def _wants_xml(call: Call) -> bool:
    return any(kind in call.request.headers.get("accept", "") for kind in _XML_TYPES)


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _add(parent: ET.Element, name: str, text: object, **attributes: str) -> None:
    ET.SubElement(parent, _tag(name), attributes).text = str(text)


def _write(row: Row) -> ET.Element:
    invoice = ET.Element(_tag("invoice"), {"id": row["id"], "status": row["status"]})
    for name, key in (("number", "number"), ("contactId", "contact_id"), ("issuedOn", "issued_on")):
        _add(invoice, name, row[key])
    _add(invoice, "total", row["total"], currency=row["currency"])
    lines = ET.SubElement(invoice, _tag("lines"))
    for line in row["lines"]:
        element = ET.SubElement(lines, _tag("line"), {"quantity": str(line["quantity"])})
        _add(element, "description", line["description"])
        _add(element, "amount", line["amount"])
    return invoice


def _answer(root: ET.Element) -> Response:
    body = ET.tostring(root, encoding="utf-8", xml_declaration=True, default_namespace=None)
    return Response(body, media_type="application/xml")


ET.register_namespace("", NAMESPACE)
