"""Messages as we write them, and as we read them."""

import base64
from email.message import Message
from typing import Any

import pytest

from clew.core.errors import InvalidInputError
from clew.core.mail import parts
from clew.core.mail.addresses import checked_address, checked_id
from clew.core.mail.compose import Attachment, Draft, compose, stored_letter
from clew.core.mail.names import decode_name, encode_name, quoted
from clew.core.mail.reading import enclosed, open_message, text_of_html

ME = "me@home.example"


def draft(**changes: Any) -> Draft:
    facts: dict[str, Any] = {"sender": ME, "to": ["ann@away.example"], "subject": "Grüße", "text": "Hallo\n.\nEnde\n"}
    return Draft(**{**facts, **changes})


def test_what_is_written_can_be_read() -> None:
    file = Attachment("plän.txt", base64.b64encode(b"a plan").decode(), "text/plain")
    letter = compose(draft(cc=["ben@away.example"], bcc=["eve@away.example"], html="<p>Hallo</p>", attachments=[file]))
    opened = open_message(letter.content)
    assert (opened.subject, opened.sender, opened.to, opened.cc) == (
        "Grüße", ME, ("ann@away.example",), ("ben@away.example",)
    )  # fmt: skip
    assert (opened.text, opened.message_id) == ("Hallo\n.\nEnde", letter.message_id)
    assert letter.recipients == ("ann@away.example", "ben@away.example", "eve@away.example")
    assert b"eve@" not in letter.content
    (found,) = opened.enclosures
    assert (found.filename, found.size) == ("plän.txt", 6)
    taken = enclosed(letter.content, found.part)
    assert taken is not None
    assert taken[1] == b"a plan"
    assert enclosed(letter.content, 77) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "hi\r\nBcc: eve@evil.example"},
        {"subject": "hi\nX: y"},
        {"subject": "hi\x00"},
        {"subject": "hi\u2028X: y"},
        {"to": ["ann@away.example\r\nRCPT TO:<eve@evil.example>"]},
        {"to": ["ann@away.example, eve@evil.example"]},
        {"to": ["Ann <ann@away.example>"]},
        {"to": ["<ann@away.example>"]},
        {"to": ['"ann eve"@away.example']},
        {"to": ["ann@[127.0.0.1]"]},
        {"to": ["ann@away.example>"]},
        {"to": ["ann"]},
        {"to": ["@away.example"]},
        {"to": ["ann@-away.example"]},
        {"to": [f"{'a' * 65}@away.example"]},
        {"to": ["ann@" + "a" * 64 + ".example"]},
        {"to": []},
        {"to": [f"a{number}@away.example" for number in range(101)]},
        {"cc": ["x\ty@away.example"]},
        {"sender": "me"},
        {"in_reply_to": "<a@b>\r\nBcc: eve@evil.example"},
        {"references": ["not an id"]},
        {"message_id": "<a b@c>"},
        {"text": "\ud800"},
        {"attachments": [Attachment("../etc/passwd", "YQ==")]},
        {"attachments": [Attachment("a\r\nb", "YQ==")]},
        {"attachments": [Attachment("a", "no base64!")]},
        {"attachments": [Attachment("a", "YQ==", "text/plain\r\nX: y")]},
        {"attachments": [Attachment("a", "AAAA" * 900_000)] * 4},
        {"subject": "x" * 901},
    ],
)
def test_what_would_smuggle_something_in_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        compose(draft(**changes))


def test_an_international_domain_is_sent_in_ascii() -> None:
    assert checked_address("ann@Bücher.example") == "ann@xn--bcher-kva.example"


def test_an_enclosed_message_is_sent_as_a_file() -> None:
    letter = compose(draft(attachments=[Attachment("a.eml", "YQ==", "message/rfc822")]))
    assert b"application/octet-stream" in letter.content


def test_a_draft_is_sent_as_it_stands_without_its_blind_copies() -> None:
    kept = compose(draft(bcc=["eve@away.example", "ida@away.example"]), keep_bcc=True)
    assert b"Bcc: " in kept.content
    letter = stored_letter(kept.content.replace(b"Bcc: eve@away.example,", b"Bcc: eve@away.example,\r\n"), ME)
    assert letter.recipients == ("ann@away.example", "eve@away.example", "ida@away.example")
    assert b"eve@" not in letter.content
    assert b"ida@" not in letter.content
    assert open_message(letter.content).text == "Hallo\n.\nEnde"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"From: me@home.example", b"From: boss@home.example"),
        (b"From: me@home.example", b"From: me@home.example, boss@home.example"),
        (b"To: ann@away.example", b"To: nobody"),
        (b"Message-ID: <", b"X-ID: <"),
    ],
)
def test_a_draft_that_is_not_ours_to_send_is_refused(old: bytes, new: bytes) -> None:
    raw = compose(draft()).content
    assert old in raw
    with pytest.raises(InvalidInputError):
        stored_letter(raw.replace(old, new), ME)


def test_an_id_may_come_without_its_brackets() -> None:
    assert checked_id(" a@b ") == checked_id("<a@b>") == "<a@b>"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (
            b"Content-Type: text/html\n\n<style>p{}</style><p>One&nbsp;two<br>three</p><script>x</script>",
            "One two\nthree",
        ),
        (b"Content-Type: text/plain; charset=latin-1\n\nGr\xfc\xdfe", "Grüße"),
        (b"Content-Type: text/plain; charset=nonsense\n\nhello", "hello"),
        (b"Content-Type: text/plain; charset=utf-8\n\n\xff", "\xff"),
        (b"Content-Type: application/pdf\n\nx", ""),
        (b"", ""),
    ],
)
def test_the_text_of_a_message_is_found(raw: bytes, text: str) -> None:
    assert open_message(raw).text == text


def test_broken_markup_gives_the_words_before_it() -> None:
    assert text_of_html("<p>one</p><![if x]><![bad[<b>two") .startswith("one")  # fmt: skip


@pytest.mark.parametrize(
    ("header", "automatic"),
    [
        ("Auto-Submitted: auto-generated", True),
        ("Auto-Submitted: no", False),
        ("Precedence: list", True),
        ("Return-Path: <>", True),
        ("X-Other: 1", False),
    ],
)
def test_mail_of_programs_is_known(header: str, automatic: bool) -> None:
    assert open_message(f"{header}\nFrom: a@b.example\n\nx".encode()).automatic is automatic


def test_strange_headers_are_shown_in_one_line() -> None:
    raw = (
        b"From: =?utf-8?q?Boss_=3Cboss=40home.example=3E=2C=0D=0ABcc=3A_x?= <a@b.example>\nDate: soon\n"
        b"Subject: =?x?y?z?= \xff\nReferences: <a@b> <a@b> <c@d>\n\nx"
    )
    opened = open_message(raw)
    assert (opened.sender, opened.date, opened.references) == (
        "Boss <boss@home.example>, Bcc: x <a@b.example>", "", ("<a@b>", "<c@d>")
    )  # fmt: skip
    assert "\n" not in opened.subject


@pytest.mark.parametrize("name", ["INBOX", "Entwürfe", "a & b", "日本語", "台北/日本語", 'we"ird\\'])
def test_a_folder_name_goes_and_comes_back(name: str) -> None:
    raw = encode_name(name)
    assert raw.isascii()
    plain = raw[1:-1].replace(b'\\"', b'"').replace(b"\\\\", b"\\")
    assert decode_name(plain) == name


def test_broken_names_stay_as_they_are() -> None:
    for raw in (b"&AAA-x", b"&A-x", b"a & b"):  # a control character, half a letter, no form of it at all
        assert decode_name(raw) == raw.decode()
    for wrong in ("", "a\r\nb", "x" * 501):
        with pytest.raises(InvalidInputError):
            encode_name(wrong)
    with pytest.raises(InvalidInputError):
        quoted("ü")


def made_by_hand(**headers: str) -> Message:
    """A message that no parser made: its headers hold what cannot stand in bytes."""
    message = Message()
    for name, value in headers.items():
        message[name] = value
    return message


def test_a_header_that_cannot_be_read_is_empty() -> None:
    message = made_by_hand(subject="ü\udcff", to="ü\udcff <a@b.example>")
    assert parts.raw_header(message, "subject") == parts.header(message, "subject") == ""
    assert parts.headers(message, "subject") == []
    assert parts.people(message, "to") == []


def test_a_parameter_that_cannot_be_read_is_empty() -> None:
    for number in (b"9" * 5_000, b"9" * 9_000):  # more digits than are taken for a number, a longer header than is read
        part = parts.parse(b"Content-Disposition: attachment; filename*" + number + b"=x\n\n")
        assert parts.parameter(part, "filename", "content-disposition") == ""


@pytest.mark.parametrize("value", ["=?utf-8?b?a?=", "=?nonsense?q?x?="])
def test_encoded_words_that_cannot_be_read_stay_as_they_are(value: str) -> None:
    assert open_message(f"Subject: {value}\n\nx".encode()).subject == value


def test_messages_in_messages_are_taken_apart_so_far_and_no_further() -> None:
    raw = b"Content-Type: message/rfc822\n\n" * 40 + b"Subject: x\n\ny"
    assert len(list(parts.walk(parts.parse(raw)))) == parts.MOST_BOUNDARIES + 1


def test_the_content_of_many_parts_is_their_text_and_of_none_is_nothing() -> None:
    whole = parts.parse(b'Content-Type: multipart/mixed; boundary="b"\n\n--b\n\none\n--b\n\ntwo\n--b--\n')
    assert parts.content(whole).split() == [b"one", b"two"]
    assert parts.content(Message()) == b""
    broken = Message()
    broken.set_payload([made_by_hand(subject="ü\udcff")])
    assert parts.content(broken) == b""
