"""Contacts: the plain resource, with ETags, a natural key and two shapes."""

from typing import Any, cast

from starlette.responses import JSONResponse, Response

from .cursors import turn_page
from .gate import OLDEST, Call, Handler, check_fields, is_optional_text, is_text, no_content
from .refusals import RefusalError, refuse_missing
from .tables import Row, show
from .tokens import USERS
from .webhooks import announce


async def get_me(call: Call) -> Response:
    """Answer who the token speaks for."""
    subject = call.token.grant.subject
    email, name = USERS.get(subject, (f"{subject}@service.acme.example", subject))
    return JSONResponse(
        {
            "id": subject,
            "email": email,
            "name": name,
            "account": {"id": "acc_acme", "name": "Acme Demo"},
            "scopes": sorted(call.token.scopes),
        }
    )


async def list_contacts(call: Call) -> Response:
    """Answer a page of contacts, searched by `q` or found by `email`."""
    text, email = call.query.get("q", "").casefold(), call.query.get("email")
    rows = [row for row in call.state.store.contacts if _contains(row, text) and email in (None, row["email"])]
    page, next_cursor = turn_page(rows, call.query)
    return JSONResponse({"data": [_show(row, call.version) for row in page], "next_cursor": next_cursor})


async def get_contact(call: Call) -> Response:
    """Answer one contact with its ETag."""
    row = _find(call)
    if call.request.headers.get("if-none-match") == _etag(row):
        return Response(status_code=304, headers={"ETag": _etag(row)})
    return _answer(row, call)


async def create_contact(call: Call) -> Response:
    """Store a contact; the e-mail address is unique."""
    fields = await _read(call, required=("email", "full_name" if call.version == OLDEST else "name"))
    _check_email(call, fields["email"], None)
    now = call.state.timestamp()
    empty: Row = {"company": None, "phone": None}
    row = call.state.store.contacts.add(empty | fields | {"created_at": now, "updated_at": now})
    call.commit("contact", "create", row)
    announce(call.state, "contact.created", show(row))
    return _answer(row, call, 201)


async def update_contact(call: Call) -> Response:
    """Change fields of a contact, under If-Match when it is sent."""
    row = _find(call)
    fields = await _read(call)
    _check_match(call, row)
    if "email" in fields:
        _check_email(call, fields["email"], row["id"])
    row.update(fields)
    row["updated_at"] = call.state.timestamp()
    row["_version"] += 1
    call.commit("contact", "update", row)
    announce(call.state, "contact.updated", show(row))
    return _answer(row, call)


async def delete_contact(call: Call) -> Response:
    """Remove a contact for good."""
    row = _find(call)
    _check_match(call, row)
    call.state.store.contacts.remove(row["id"])
    call.commit("contact", "delete", row)
    announce(call.state, "contact.deleted", {"id": row["id"]})
    return no_content()


ROUTES: list[tuple[str, str, str | None, Handler]] = [
    ("GET", "/me", None, get_me),
    ("GET", "/contacts", "contacts:read", list_contacts),
    ("POST", "/contacts", "contacts:write", create_contact),
    ("GET", "/contacts/{id}", "contacts:read", get_contact),
    ("PATCH", "/contacts/{id}", "contacts:write", update_contact),
    ("DELETE", "/contacts/{id}", "contacts:write", delete_contact),
]


def _find(call: Call) -> Row:
    row = call.state.store.contacts.get(call.path_id)
    if row is None:
        raise refuse_missing("contact", call.path_id)
    return row


def _contains(row: Row, text: str) -> bool:
    values = (row["name"]["given"], row["name"]["family"], row["email"], row["company"] or "")
    return text in " ".join(values).casefold()


def _show(row: Row, version: str) -> Row:
    """Return the contact in the shape of the version."""
    shown = show(row)
    if version == OLDEST:
        name = shown.pop("name")
        return {"id": shown.pop("id"), "full_name": f"{name['given']} {name['family']}".strip(), **shown}
    return shown


def _answer(row: Row, call: Call, status: int = 200) -> Response:
    return JSONResponse(_show(row, call.version), status, headers={"ETag": _etag(row)})


def _etag(row: Row) -> str:
    return f'"v{row["_version"]}"'


def _check_match(call: Call, row: Row) -> None:
    wanted = call.request.headers.get("if-match")
    if wanted not in (None, "*", _etag(row)):
        raise RefusalError(
            412, "precondition_failed", "The contact has changed. Read it again.", headers={"ETag": _etag(row)}
        )


def _check_email(call: Call, email: str, own_id: str | None) -> None:
    other = call.state.store.contacts.find(email=email)
    if other is not None and other["id"] != own_id:
        details = {"existing_id": other["id"]}
        raise RefusalError(
            409, "email_taken", "Another contact has this e-mail address.", field="email", details=details
        )


async def _read(call: Call, *, required: tuple[str, ...] = ()) -> Row:
    """Return the fields of the body in today's shape, whichever version they were sent in."""
    data = await call.read_json()
    name = {"full_name": is_text} if call.version == OLDEST else {"name": _is_name}
    checks = {"email": _is_email, "company": is_optional_text, "phone": is_optional_text, **name}
    check_fields(data, checks, required=required)
    if "full_name" in data:
        given, _, family = data.pop("full_name").strip().partition(" ")
        data["name"] = {"given": given, "family": family}
    return data


def _is_email(value: Any) -> bool:
    return is_text(value) and len(value) <= 254 and " " not in value and "@" in value.strip("@")


def _is_name(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    name = cast("dict[str, Any]", value)
    return name.keys() == {"given", "family"} and is_text(name["given"]) and isinstance(name["family"], str)
