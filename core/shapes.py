"""The shapes in which APIs say that something went wrong, whoever they are.

A shape is recognised by what the body holds, never by the provider. It yields the machine codes (the most telling
first) and the sentence. Known: GraphQL, JSON:API, problem details (RFC 9457), Google, OData and Graph (nested inner
errors), gRPC gateways, OAuth, `ok: false` and `success: false` envelopes, arrays of errors (Salesforce), Spring,
FastAPI, SOAP faults 1.1 and 1.2, WebDAV preconditions, other XML, web pages, plain text.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from clew.core.fields import as_list, as_object
from clew.core.markup import Element, MarkupError, looks_like_a_page, looks_like_markup, parse
from clew.core.response import Response
from clew.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """What a body says went wrong: the shape's name, machine codes, sentence.

    `partial` says that the answer also holds results. `refused` says that the provider turned the request away before
    doing anything. `fault` marks shapes that send every error with 500. `status` is the one that stands in the body.
    """

    shape: str
    codes: tuple[str, ...] = ()
    message: str = ""
    partial: bool = False
    refused: bool = False
    fault: bool = False
    status: int = 0


_SUSPECT = frozenset(
    {
        "errors",
        "error",
        "ok",
        "success",
        "isSuccess",
        "status",
        "hasErrors",
        "faultcode",
        "fault",
        "code",
        "errcode",
        "error_code",
    }
)
_SAID = ("error", "errors", "message", "code", "description", "error_message", "reason", "msg", "errmsg")
_GRPC = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
_CHALLENGE = re.compile(r"""\berror\s*=\s*"?([A-Za-z_]+)""")


def problem_of(response: Response) -> Problem | None:
    """The problem an answer with 4xx or 5xx states, if its body has a known shape."""
    found = _of_json(response) or of_markup(response) or _of_text(response)
    challenge = _CHALLENGE.search(response.headers.get("www-authenticate", ""))
    if challenge is None or response.status not in (400, 401, 403):
        return found
    if found is None:
        return Problem("challenge", (challenge[1],))
    return Problem(found.shape, (*found.codes, challenge[1]), found.message)


def hidden_problem(response: Response) -> Problem | None:
    """The problem behind a 2xx, where the body plainly says that there is one."""
    data = response.data
    found = as_object(data)
    if found is not None:
        return None if _SUSPECT.isdisjoint(found) else _of_success(found)
    if response.damage is None and isinstance(data, str | bytes) and looks_like_markup(response.content):
        return of_markup(response, success=True)
    return None


def _of_success(data: Mapping[str, Any]) -> Problem | None:
    found = _graphql(data)
    if found is not None:
        return found
    error = as_object(data.get("error"))
    if error is not None and "jsonrpc" in data:
        return _json_rpc(error)
    failed = any(data.get(key) is False for key in ("ok", "success", "isSuccess")) or data.get("success") == 0
    if (failed and any(data.get(key) for key in _SAID)) or _numbered(data) or _worded(data):
        codes, message = _said(data)
        return Problem("envelope", codes, message, status=_http(data))
    alone = data.keys() <= {"error", "error_description", "error_uri", "message", "code", "status", "request_id"}
    if alone and data.get("error") not in (None, False, "", 0, [], {}):
        codes, message = _said(data)
        return Problem("error", codes, message)
    return None


def _json_rpc(error: Mapping[str, Any]) -> Problem:
    """JSON-RPC 2.0 §5.1: these codes say that nothing was executed; any other may come from the middle of it."""
    number = error.get("code")
    refused = number in (-32700, -32600, -32601, -32602)
    codes = ("internal",) if number == -32603 else ()
    return Problem(
        "json-rpc", (*codes, *_strings(as_object(error.get("data")) or {}, _CODE_KEYS)), _text(error), refused=refused
    )


def _worded(data: Mapping[str, Any]) -> bool:
    """`{"status": "error", "message": …}` (JSend) without an object; `{"status": "DENIED", "error_message": …}`."""
    status = data.get("status")
    if status in ("error", "fail") and data.keys() <= _ENVELOPE | {"status", "error", "errors"}:
        return True
    if isinstance(data.get("error_message"), str) and data["error_message"]:
        stated = isinstance(status, str) and status.isupper() and status not in ("OK", "SUCCESS")
        return stated or bool(data.get("error_code"))
    number = data.get("errcode")
    return isinstance(number, int) and number != 0 and isinstance(data.get("errmsg"), str)


def _http(data: Mapping[str, Any]) -> int:
    """The status in a failure's body: 400 to 599, else 0."""
    inner = as_object(data.get("error")) or {}
    for value in (
        data.get("error_code"),
        data.get("statusCode"),
        data.get("status_code"),
        data.get("code"),
        inner.get("code"),
        data.get("status"),
    ):
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599:
            return value
    return 0


_ENVELOPE = frozenset(("code", "message", "msg", "data", "result", "request_id", "requestId", "traceId", "timestamp"))


def _numbered(data: Mapping[str, Any]) -> bool:
    """`{"code": 40001, "message": …, "data": null}`: a number that is neither 0 nor a success of HTTP's."""
    number = data.get("code")
    if isinstance(number, bool) or not isinstance(number, int) or number == 0 or 200 <= number < 300:
        return False
    said = isinstance(data.get("message") or data.get("msg"), str)
    return said and not data.get("data") and not data.get("result") and data.keys() <= _ENVELOPE


def _graphql(data: Mapping[str, Any]) -> Problem | None:
    errors = [found for each in (as_list(data.get("errors")) or [])[:20] if (found := as_object(each)) is not None]
    if not errors or not all(isinstance(each.get("message"), str) for each in errors):
        return None
    marked = any(key in each for each in errors for key in ("extensions", "locations", "path"))
    if not ("data" in data or marked or data.keys() <= {"errors", "extensions"}):
        return None
    codes: list[str] = []
    for each in errors:
        extensions = as_object(each.get("extensions")) or {}
        places = (extensions.get("code"), extensions.get("type"), each.get("type"), each.get("code"))
        codes += [word for word in places if isinstance(word, str) and word]
        codes += _strings(as_object(extensions.get("exception")) or {}, ("code", "name"))
    held = as_object(data.get("data")) or {}
    partial = any(value is not None for value in held.values())
    refused = "data" not in data and not any("path" in each for each in errors)
    return Problem("graphql", tuple(codes), str(errors[0]["message"]), partial, refused)


def _of_json(response: Response) -> Problem | None:
    data = response.data
    listed = as_list(data)
    if listed:
        items = [found for each in listed[:20] if (found := as_object(each)) is not None]
        several = [code for each in items for code in _said(each)[0]]
        return Problem("list", tuple(several), _said(items[0])[1]) if items else None
    found = as_object(data)
    if not found:
        return None
    graphql = _graphql(found)
    if graphql is not None and (graphql.codes or "data" in found):
        return graphql
    media = response.headers.get("content-type", "").lower()
    codes, message = _said(found)
    return Problem("problem details" if "problem+json" in media else "json", codes, message)


_CODE_KEYS = ("errorCode", "error_code", "__type", "code", "status", "type", "reason", "errorType", "category", "name")
_TEXT_KEYS = (
    "message",
    "error_description",
    "detail",
    "description",
    "title",
    "errorMessage",
    "msg",
    "error_message",
    "errmsg",
    "info",
)


def _said(data: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """The machine codes of an error object, inner ones first, and its sentence."""
    codes: list[str] = []
    error = as_object(data.get("error"))
    if error is not None:
        inner, message = _said(error)
        codes.extend(inner)
    else:
        message = ""
    for each in [*_items(data.get("errors")), *_items(data.get("details")), *_items(data.get("o:errorDetails"))]:
        codes += _strings(each, ("reason", "code", "o:errorCode", "type", "errorCode", "error"))
        message = message or _text(each)
    deeper = as_object(data.get("innerError")) or as_object(data.get("innererror"))
    for _ in range(10):
        if deeper is None:
            break
        codes = [*_strings(deeper, ("code",)), *codes]
        deeper = as_object(deeper.get("innerError")) or as_object(deeper.get("innererror"))
    number = data.get("code")
    if isinstance(number, int) and not isinstance(number, bool) and 0 < number < len(_GRPC) and "details" in data:
        codes.append(_GRPC[number])
    codes += _strings(data, _CODE_KEYS)
    word = data.get("error")
    if isinstance(word, str) and word:
        codes += [word] if re.fullmatch(r"[\w.:-]{1,80}", word) else []
        message = message or _text(data) or word
    return tuple(dict.fromkeys(codes)), message or _text(data)


def _items(value: Any) -> Iterator[Mapping[str, Any]]:
    for each in (as_list(value) or [])[:20]:
        found = as_object(each)
        if found is not None:
            yield found


def _strings(data: Mapping[str, Any], keys: Iterable[str]) -> list[str]:
    return [value for key in keys if isinstance(value := data.get(key), str) and value]


def _text(data: Mapping[str, Any]) -> str:
    found = next((value for key in _TEXT_KEYS if isinstance(value := data.get(key), str) and value), "")
    nested = as_object(data.get("message"))
    return found or (_text(nested) if nested is not None else "") or "".join(_strings(nested or {}, ("error",)))


def of_markup(response: Response, *, success: bool = False) -> Problem | None:
    """What an XML or HTML body says; with `success` only faults count, not every document."""
    if not looks_like_markup(response.content):
        return None
    if looks_like_a_page(response.content):
        return Problem("web page")
    try:
        root = parse(response.content)
    except MarkupError:
        return None if success else Problem("damaged markup")
    found = _soap(root)
    return found if found is not None or success else _other_markup(root)


def _soap(root: Element) -> Problem | None:
    """A fault, or a soft error: `isSuccess="false"` (NetSuite), `<success>false</success>` (Salesforce)."""
    fault = root.find("fault")
    if fault is not None:
        return _soap_fault(fault)
    for each in root.walk():
        no = each.attributes.get("isSuccess", "") or (each.text if each.name in ("success", "isSuccess") else "")
        if no.strip().lower() == "false":
            place = each if each.children else root
            detail, code = place.find("statusdetail"), place.find("code", "statuscode")
            said = detail.attributes.get("code", "") if detail is not None else ""
            codes = tuple(word for word in (said, code.text.strip() if code is not None else "") if word)
            message = place.find("message")
            return Problem("soap status", codes, (message or place).words(), fault=True)
    return None


def _other_markup(root: Element) -> Problem:
    if root.space == "DAV:" and root.name == "error":
        return Problem("webdav", tuple(each.name for each in root.walk() if each is not root), root.words())
    code, message = root.find("code", "errorcode", "faultcode"), root.find("message", "faultstring", "description")
    said = code.text.strip() if code is not None else ""
    return Problem("xml", (said,) if said else (), message.words() if message is not None else root.words()[:300])


def _soap_fault(fault: Element) -> Problem:
    """SOAP 1.1 (`faultcode`), SOAP 1.2 (`Code/Value`, `Subcode`) and XML-RPC: codes of the detail first."""
    detail = fault.child("detail")
    codes = [] if detail is None else [each for element in detail.walk() for each in _detail_codes(element)]
    codes += [each.text.strip() for each in fault.walk() if each.name in ("Value", "faultcode") and each.text.strip()]
    codes = [code.rpartition(":")[2] or code for code in codes]
    general = {"client", "server", "sender", "receiver"}
    ordered = sorted(codes, key=lambda code: code.lower().partition(".")[0] in general)
    text = fault.find("faultstring", "text", "reason")
    message = text.words() if text is not None else fault.words()
    return Problem("soap fault", tuple(dict.fromkeys(ordered)), message, fault=True)


def _detail_codes(element: Element) -> Iterator[str]:
    name = element.name.lower()
    if name.endswith(("code", "errorcode")) and element.text.strip():
        yield element.text.strip()
    elif name.endswith("fault") and name != "fault":
        yield element.name
    if "code" in element.attributes:
        yield element.attributes["code"]


def _of_text(response: Response) -> Problem | None:
    data = response.data
    if not isinstance(data, str | bytes) or not data.strip():
        return None
    text = data if isinstance(data, str) else response.text
    return Problem("text", (), text.strip()[:500])
