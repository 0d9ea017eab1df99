"""Slack's layout (Block Kit and rich text) as Markdown. What cannot be read as text is left out.

Texts that are mrkdwn already stay as they are: `*bold*`, `<@U123>`, `<https://…|label>`. Sources:
docs.slack.dev/reference/block-kit/blocks. Nothing here fails on a strange shape: it is layout, and `text` remains.
"""

from collections.abc import Callable, Mapping
from typing import Any

from .provider import objects_of

Object = Mapping[str, Any]
Maker = Callable[[Object], str]
DEEPEST_INDENT = 8


def markdown_of(blocks: Any) -> str:
    """The text of a message's `blocks`, one paragraph for each."""
    parts = [_block(block) for block in objects_of(blocks)]
    return "\n\n".join(part for part in parts if part)


def _block(block: Object) -> str:
    return _by_type(_BLOCKS, block)


def _by_type(makers: Mapping[str, Maker], piece: Object) -> str:
    maker = makers.get(str(piece.get("type")))
    return maker(piece) if maker else ""


def _joined(make: Maker, separator: str) -> Maker:
    """A maker for what holds `elements`: each made by `make`, the empty ones left out."""
    return lambda block: separator.join(filter(None, map(make, objects_of(block.get("elements")))))


def _section(block: Object) -> str:
    fields = [_text(each) for each in objects_of(block.get("fields"))]
    beside = "".join(_element(each) or _control(each) for each in objects_of([block.get("accessory")]))
    return "\n".join(filter(None, (_text(block.get("text")), *fields, beside)))


def _element(element: Object) -> str:
    """Part of a context: a text or an image."""
    return _picture(element) if element.get("type") == "image" else _word(element, "text")


def _control(element: Object) -> str:
    label = _text(element.get("text")) or _text(element.get("placeholder"))
    return f"[{element.get('type')}: {label}]" if label else ""


def _picture(block: Object) -> str:
    words = _word(block, "alt_text") or _text(block.get("title"))
    return f"[{block.get('type')}: {words}]" if words else ""


def _text(value: Any) -> str:
    """A text object's text."""
    return "".join(_word(each, "text") for each in objects_of([value]))


def _word(holder: Object, name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def _quote(part: Object) -> str:
    return "\n".join(f"> {line}" for line in _inline(part).split("\n"))


def _code(part: Object) -> str:
    return "```\n" + "".join(map(_plain, objects_of(part.get("elements")))) + "\n```"


def _list(part: Object) -> str:
    items = objects_of(part.get("elements"))
    ordered, indent, offset = part.get("style") == "ordered", part.get("indent"), part.get("offset")
    first = (offset if isinstance(offset, int) else 0) + 1
    space = "  " * min(max(indent if isinstance(indent, int) else 0, 0), DEEPEST_INDENT)
    marks = [f"{first + place}." if ordered else "-" for place in range(len(items))]
    return "\n".join(f"{space}{mark} {_inline(item)}" for mark, item in zip(marks, items, strict=True))


def _inline(part: Object) -> str:
    return "".join(_styled(each) for each in objects_of(part.get("elements")))


def _plain(element: Object) -> str:
    """One inline element without its style."""
    maker = _INLINE.get(str(element.get("type")))
    return maker(element) if maker else _word(element, "text")


def _link(element: Object) -> str:
    label, url = _word(element, "text"), _word(element, "url")
    return f"[{label}]({url})" if label else url


def _named(name: str, form: str) -> Maker:
    """A maker for what is known by an id or a name: Slack's own notation for it."""
    return lambda element: form.replace("{}", _word(element, name))


_INLINE: Mapping[str, Maker] = {
    "link": _link,
    "user": _named("user_id", "<@{}>"),
    "channel": _named("channel_id", "<#{}>"),
    "usergroup": _named("usergroup_id", "<!subteam^{}>"),
    "broadcast": _named("range", "@{}"),
    "emoji": _named("name", ":{}:"),
    "date": _named("fallback", "{}"),
    "color": _named("value", "{}"),
}
_MARKS = (("code", "`"), ("strike", "~~"), ("italic", "_"), ("bold", "**"))


def _styled(element: Object) -> str:
    """Markdown marks must touch the words, so the spaces around them stay outside."""
    text = _plain(element)
    core = text.strip()
    for style in objects_of([element.get("style")]):
        for name, mark in _MARKS:
            if core and style.get(name) is True:
                core = f"{mark}{core}{mark}"
    lead = text[: len(text) - len(text.lstrip())]
    trail = text[len(text.rstrip()) :] if text.strip() else ""
    return f"{lead}{core}{trail}"


_RICH: Mapping[str, Maker] = {
    "rich_text_section": _inline,
    "rich_text_list": _list,
    "rich_text_quote": _quote,
    "rich_text_preformatted": _code,
}
_BLOCKS: Mapping[str, Maker] = {
    "section": _section,
    "header": lambda block: f"**{text}**" if (text := _text(block.get("text"))) else "",
    "markdown": _named("text", "{}"),
    "context": _joined(_element, " "),
    "actions": _joined(_control, " "),
    "rich_text": _joined(lambda part: _by_type(_RICH, part), "\n"),
    "image": _picture,
    "video": _picture,
    "divider": lambda block: "---",
}
