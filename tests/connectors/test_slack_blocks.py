"""Slack's layout as Markdown."""

from typing import Any

import pytest

from clew.connectors.slack.blocks import markdown_of
from clew.connectors.slack.messages import Raw, text_of


def words(text: str, **style: bool) -> dict[str, Any]:
    return {"type": "text", "text": text, "style": style} if style else {"type": "text", "text": text}


def rich(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "rich_text", "elements": list(parts)}]


def part(kind: str, *elements: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": f"rich_text_{kind}", "elements": list(elements), **more}


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def test_a_section_keeps_its_mrkdwn_fields_and_what_stands_beside() -> None:
    block = {
        "type": "section",
        "text": mrkdwn("*Deploy* of <https://a.example|a> by <@U1>"),
        "fields": [mrkdwn("*Env*\nprod"), {"type": "plain_text", "text": "ok"}],
        "accessory": {"type": "image", "image_url": "https://a.example/x.png", "alt_text": "graph"},
    }
    assert markdown_of([block]) == "*Deploy* of <https://a.example|a> by <@U1>\n*Env*\nprod\nok\n[image: graph]"


def test_header_divider_context_image_and_buttons_are_paragraphs() -> None:
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Release"}},
        {"type": "divider"},
        {"type": "context", "elements": [{"type": "image", "alt_text": "logo"}, mrkdwn("by _ada_")]},
        {"type": "image", "image_url": "https://a.example/x.png", "alt_text": "a cat"},
        {"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "Approve"}}]},
        {"type": "markdown", "text": "# Heading"},
    ]
    expected = ["**Release**", "---", "[image: logo] by _ada_", "[image: a cat]", "[button: Approve]", "# Heading"]
    assert markdown_of(blocks) == "\n\n".join(expected)


def test_rich_text_styles_touch_the_words_and_not_the_spaces() -> None:
    section = part(
        "section",
        words("bold ", bold=True),
        words("both", bold=True, italic=True),
        words(" "),
        words("gone", strike=True),
        words(" and "),
        words("x = 1", code=True),
        words("  ", bold=True),
        words("end", bold=False),
    )
    assert markdown_of(rich(section)) == "**bold** **_both_** ~~gone~~ and `x = 1`  end"


def test_links_people_channels_and_emoji_are_named() -> None:
    section = part(
        "section",
        {"type": "link", "url": "https://a.example", "text": "docs"},
        words(" "),
        {"type": "link", "url": "https://b.example"},
        words(" "),
        {"type": "user", "user_id": "U1"},
        {"type": "channel", "channel_id": "C1"},
        {"type": "usergroup", "usergroup_id": "S1"},
        {"type": "broadcast", "range": "here"},
        {"type": "emoji", "name": "wave"},
        {"type": "date", "timestamp": 1, "fallback": "Jan 1"},
        {"type": "color", "value": "#fff"},
    )
    expected = "[docs](https://a.example) https://b.example <@U1><#C1><!subteam^S1>@here:wave:Jan 1#fff"
    assert markdown_of(rich(section)) == expected


def test_lists_quotes_and_code_keep_their_form() -> None:
    item = part("section", words("one"))
    blocks = rich(
        part("list", item, item, style="ordered", offset=2),
        part("list", item, style="bullet", indent=1),
        part("quote", words("said\ntwice")),
        part("preformatted", words("a = 1"), {"type": "link", "url": "https://a.example"}),
    )
    expected = "3. one\n4. one\n  - one\n> said\n> twice\n```\na = 1https://a.example\n```"
    assert markdown_of(blocks) == expected


@pytest.mark.parametrize(
    "strange",
    [
        None,
        "text",
        7,
        {"type": "section"},
        [None, 7, "x", []],
        [{"type": "section", "text": "not an object", "fields": 7, "accessory": [1]}],
        [{"type": ["section"]}],
        [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": {"a": 1}}]}],
        [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": 7}]}]}],
        [{"type": "no_such_block", "text": mrkdwn("lost")}],
        [{"type": "context", "elements": [{"type": "image"}]}],
    ],
)
def test_a_strange_shape_has_no_text_and_does_no_harm(strange: Any) -> None:
    assert markdown_of(strange) == ""


def test_an_indent_out_of_measure_is_cut() -> None:
    item = part("section", words("one"))
    assert markdown_of(rich(part("list", item, style="bullet", indent=10**9))) == "  " * 8 + "- one"


def test_the_text_stands_in_where_blocks_say_nothing() -> None:
    assert text_of(Raw(ts="1.0", text="plain", blocks=[{"type": "no_such_block"}])) == "plain"
    assert text_of(Raw(ts="1.0", text="plain", blocks=[{"type": "section", "text": mrkdwn("laid out")}])) == "laid out"


def test_attachments_follow_by_their_blocks_text_or_fallback() -> None:
    attachments = [
        {"blocks": [{"type": "section", "text": mrkdwn("in blocks")}], "fallback": "no"},
        {"text": "in text", "fallback": "no"},
        {"fallback": "fell back"},
        {"text": {"not": "text"}, "title": "titled"},
        {},
    ]
    raw = Raw(ts="1.0", text="first", attachments=attachments)
    assert text_of(raw) == "first\n\nin blocks\n\nin text\n\nfell back\n\ntitled"
