"""XML from strangers."""

import pytest

from clew.core.markup import DEEPEST, MarkupError, looks_like_a_page, looks_like_markup, parse


def test_a_document_becomes_a_plain_tree() -> None:
    root = parse(b'<?xml version="1.0"?><a:r xmlns:a="urn:x" a:k="v">one<b>two<!-- no --> <![CDATA[<3>]]></b></a:r>')
    assert (root.name, root.space, root.attributes, root.text) == ("r", "urn:x", {"k": "v"}, "one")
    assert root.words() == "one two <3>"
    assert [each.name for each in root.walk()] == ["r", "b"]
    assert root.child("b") is root.children[0]
    assert root.child("c") is root.find("c") is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1", "utf-8-sig"])
def test_declared_encodings_are_understood(encoding: str) -> None:
    declared = {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    text = f'<?xml version="1.0" encoding="{declared}"?><a>é</a>'
    assert parse(text.encode(encoding)).text == "é"


@pytest.mark.parametrize(
    "content",
    [
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x"> %p;]><a/>',
        b"<a>&x;</a>",
        b"<a><b></a>",
        b"",
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        b"<a>" * (DEEPEST + 2) + b"</a>" * (DEEPEST + 2),
        b"<a>" + b"<b/>" * 200_001 + b"</a>",
        b"<a>\xff\xfe</a>",
    ],
    ids=[
        "entity",
        "external",
        "parameter entity",
        "undeclared",
        "crossed",
        "empty",
        "encoding",
        "deep",
        "many",
        "bytes",
    ],
)
def test_what_is_hostile_or_broken_is_refused(content: bytes) -> None:
    with pytest.raises(MarkupError):
        parse(content)


def test_a_page_is_told_from_a_document() -> None:
    assert looks_like_a_page(b"\n <!DOCTYPE HTML><p>")
    assert looks_like_a_page(b"<!-- edge --><HTML>")
    assert not looks_like_a_page(b"<htmlish/>"[:0] + b"<a/>")
    assert looks_like_markup("<a/>".encode("utf-16-le"))
    assert looks_like_markup(b"\xef\xbb\xbf <a/>")
    assert not looks_like_markup(b'{"a": 1}')
