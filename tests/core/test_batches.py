"""Answers that hold several answers."""

import json
from typing import Any

import pytest

from clew.core.batches import parts_of
from clew.core.response import Response

MULTISTATUS = (
    b'<d:multistatus xmlns:d="DAV:"><d:response><d:href>/a</d:href><d:propstat><d:status>HTTP/1.1 404 Not Found'
    b"</d:status></d:propstat></d:response><d:response><d:status>HTTP/1.1 507 Full</d:status></d:response>"
    b"<d:response><d:status>odd</d:status></d:response>%s</d:multistatus>"
)


def answer(data: Any = None, *, status: int = 200, content: bytes = b"", **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = content or json.dumps(data).encode()
    return Response(status, named, body, data, None, "POST", "https://acme.example/")


@pytest.mark.parametrize(
    "data",
    [  # pyright: ignore[reportUnknownArgumentType] - any JSON
        {"id": 1},
        {"data": [{"id": 1, "status": "open"}]},
        {"data": [{"status": 404}]},
        {"results": [], "numErrors": 0},
        {"numErrors": 0, "errors": []},
        {"responses": [{"id": "1", "status": 200, "body": {}}]},
        [{"success": True}],
        [{"id": 1}],
        [1],
        [],
        "text",
    ],
)
def test_an_answer_without_failed_parts_has_none(data: Any) -> None:
    assert parts_of(answer(data)) is None


def test_parts_that_hold_an_error_instead_of_a_body_are_parts() -> None:
    parts = parts_of(
        answer({"results": [{"status": 201, "id": 1}, {"status": 422, "error": {"code": "x"}}]}, status=207)
    )
    assert parts is not None
    assert (parts.good, parts.cause.status, parts.cause.data) == (1, 422, {"code": "x"})


def test_json_batches_are_counted_and_their_cause_is_the_root() -> None:
    failed = {"id": "2", "status": 429, "headers": {"Retry-After": 7}, "body": {"error": {"code": "X"}}}
    data = {"responses": [{"id": "1", "status": 200}, {"id": "3", "status": 424}, failed]}
    parts = parts_of(answer(data))
    assert parts is not None
    assert (parts.good, len(parts.failed), parts.cause.status) == (1, 2, 429)
    assert (parts.cause.data, parts.cause.headers) == ({"error": {"code": "X"}}, {"retry-after": "7"})


def test_a_part_without_content_stands_for_itself() -> None:
    parts = parts_of(answer([{"statusCode": 500, "headers": None}]))
    assert parts is not None
    assert parts.cause.data == {"statusCode": 500, "headers": None}


def test_collections_and_bulk_errors_are_parts() -> None:
    saved = parts_of(answer([{"success": True}, {"success": False, "errors": [{"statusCode": "DUP"}]}]))
    assert saved is not None
    assert (saved.good, saved.cause.status, saved.cause.data) == (1, 0, [{"statusCode": "DUP"}])
    hubspot = parts_of(answer({"results": [{}, {}], "numErrors": 1, "errors": [{"category": "C"}]}, status=207))
    assert hubspot is not None
    assert (hubspot.good, hubspot.cause.data) == (2, {"category": "C"})


def test_what_follows_from_another_failure_is_not_the_cause() -> None:
    halted = {"httpStatusCode": 400, "body": [{"errorCode": "PROCESSING_HALTED"}]}
    parts = parts_of(answer({"compositeResponse": [halted, {"httpStatusCode": 400, "body": [{"errorCode": "X"}]}]}))
    assert parts is not None
    assert parts.cause.data == [{"errorCode": "X"}]
    alone = parts_of(answer({"compositeResponse": [halted]}))
    assert alone is not None
    assert alone.cause.data == [{"errorCode": "PROCESSING_HALTED"}]


def test_multi_status_counts_resources_and_not_properties() -> None:
    assert parts_of(answer(status=207, content=MULTISTATUS % b"")) is None
    refused = b"<d:response><d:status>HTTP/1.1 403 No</d:status><d:error><d:need-privileges/></d:error></d:response>"
    parts = parts_of(answer(status=207, content=MULTISTATUS % refused))
    assert parts is not None
    assert (parts.good, parts.cause.status, parts.cause.data) == (3, 403, {"error": "need-privileges"})
    assert parts_of(answer(status=207, content=b"<a><b>")) is None
    assert parts_of(answer(status=207, content=b"plain")) is None


def test_mime_batches_hold_whole_answers() -> None:
    content = (
        b"--b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}\r\n--b\r\n\r\nHTTP/1.1 403 No\r\nA: b\r\n\r\n"
        b'{"error": {"code": 403}}\r\n--b\r\n\r\nHTTP/2 500 X\r\n\r\nno\r\n--b\r\n\r\nHTTP/2 500 X\r\n\r\n{x}\r\n--b--'
    )
    parts = parts_of(answer(content=content, content_type="Multipart/mixed; boundary=b"))
    assert parts is not None
    assert parts.good == 1
    assert [(part.status, part.data) for part in parts.failed] == [
        (403, {"error": {"code": 403}}),
        (500, None),
        (500, None),
    ]
