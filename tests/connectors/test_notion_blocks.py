"""Notion's blocks as Markdown and back."""

import contextlib
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clew.connectors.notion.composing import Block, compose, language_of
from clew.connectors.notion.rendering import Node, blocks_of, render
from clew.connectors.notion.texts import markdown, plain, rich


def answered(block: Block) -> Node:
    """A block of ours as Notion tells it."""
    kind = block["type"]
    body = {**block[kind]}
    inside = [answered(each) for each in body.pop("children", [])]
    for name in ("rich_text", "caption"):
        if name in body:
            body[name] = _told(body[name])
    if "cells" in body:
        body["cells"] = [_told(cell) for cell in body["cells"]]
    return Node({"object": "block", "id": "1", "type": kind, kind: body}, inside)


def _told(pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for each in pieces:
        link: dict[str, str] = each["text"].get("link") or {}
        told.append({**each, "plain_text": each["text"]["content"], "href": link.get("url")})
    return told


def again(markdown: str) -> str:
    return render([answered(each) for each in compose(markdown)])


@pytest.mark.parametrize(
    "text",
    [
        "# One\n\n## Two\n\n### Three",
        "plain snake_case_name, 5 < 6 & 3.5",
        "**bold** *it* ~~no~~ `a*b` ***both*** [link](https://a.example/b_(c)) [**x**](https://a.example)",
        "first line\nsecond line",
        "- a\n- b\n  - c\n    - d",
        "1. a\n2. b\n\n- c",
        "- [ ] open\n- [x] done",
        "- a\n\n  text below\n\n  ```python\n  x = 1\n    y\n  ```",
        "> a\n> b",
        "```\n# no heading\n\n- no list\n```",
        "````markdown\n```\nx\n```\n````",
        "---",
        "| a | b |\n| --- | --- |\n| 1 | 2\\|3 |",
        "![alt](https://img.example/a.png)",
        "$$\ne = mc^2\n$$",
        "https://a.example/b?c=d",
        "\\# no heading\n\\- no item\n1\\. no item",
    ],
)
def test_what_is_written_comes_back(text: str) -> None:
    assert again(text) == text


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.just(" "), min_size=1, max_size=40)


@given(st.lists(WORDS, min_size=1, max_size=4))
@example(["__0__"])
@example(["a~"])
@settings(max_examples=150, deadline=None)
def test_no_text_of_a_page_is_read_as_something_else(lines: list[str]) -> None:
    """A paragraph of any words, told as Markdown and written back, is that paragraph."""
    text = "\n".join(" ".join(line.split()) or "x" for line in lines)
    node = Node({"type": "paragraph", "paragraph": {"rich_text": [{"type": "text", "plain_text": text}]}})
    (back,) = compose(render([node]))
    assert (back["type"], plain(back["paragraph"]["rich_text"])) == ("paragraph", text)
    assert not any(each.get("annotations") for each in back["paragraph"]["rich_text"])


@given(st.text("ab *_~`[]()<>#->|$\\!1.\n", max_size=200))
@example("_`1 *1*`_")
@example("**`1`1**")
@example(r"*a \* b*")
@settings(max_examples=300, deadline=None)
def test_any_text_can_be_written_and_stays_what_it_was(text: str) -> None:
    once = again(text)
    assert again(once) == again(again(once))


@given(st.text("ab`*_~\\[] ", min_size=1).filter(lambda text: text == text.strip()))
@settings(max_examples=200, deadline=None)
def test_code_of_any_signs_comes_back(code: str) -> None:
    told = {"type": "text", "plain_text": code, "annotations": {"code": True}}
    assert [(each["text"]["content"], each["annotations"]) for each in rich(markdown([told]))] == [
        (code, {"code": True})
    ]


def test_neighbours_with_a_mark_in_common_stand_in_one_pair_of_signs() -> None:
    looks: list[tuple[str, list[str]]] = [
        ("a ", ["bold"]),
        ("b", ["bold", "italic"]),
        ("c", ["bold", "code"]),
        (" d", []),
    ]
    told = [{"type": "text", "plain_text": text, "annotations": dict.fromkeys(marks, True)} for text, marks in looks]
    assert markdown(told) == "**a *b*`c`** d"
    assert markdown([{**each, "href": "https://a.example"} for each in told]) == "[**a *b*`c`** d](https://a.example)"
    assert [(each["text"]["content"], list(each.get("annotations", {}))) for each in rich(markdown(told))] == looks


def test_what_is_too_deep_for_one_request_is_raised() -> None:
    (top,) = compose("- 1\n  - 2\n    - 3\n      - 4\n        - 5")
    second = top["bulleted_list_item"]["children"][0]["bulleted_list_item"]["children"]
    assert [plain(each["bulleted_list_item"]["rich_text"]) for each in second] == ["3", "4", "5"]
    assert all("children" not in each["bulleted_list_item"] for each in second)


def test_a_long_text_goes_in_pieces_that_notion_takes() -> None:
    pieces = rich("ä" * 2500)
    assert [len(each["text"]["content"]) for each in pieces] == [1000, 1000, 500]
    (code,) = compose(f"```py\n{'x' * 5000}\n```")
    assert (len(code["code"]["rich_text"]), code["code"]["language"]) == (5, "python")


@pytest.mark.parametrize(
    "text",
    [
        "\n\n".join(["x"] * 101),
        "- a\n" + "\n".join(["  - b"] * 101),
        " ".join(["**a** b"] * 60),
        "- 1\n  - 2\n    - 3\n\n      | a |\n      | --- |\n      | 1 |",
    ],
)
def test_what_no_single_request_can_carry_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fit|deep"):
        compose(text)


@pytest.mark.parametrize("link", ["/foo", "#part", "javascript:alert(1)", "ftp://a.example"])
def test_a_link_that_notion_would_refuse_stays_text(link: str) -> None:
    assert plain(rich(f"[x]({link})")) == f"[x]({link})"
    assert "link" not in rich(f"[x]({link})")[0]["text"]


def test_languages_have_notions_names() -> None:
    assert [language_of(each) for each in ("py", "TS", "c++", "", "brainfuck", "sql x")] == [
        "python", "typescript", "c++", "plain text", "plain text", "sql",
    ]  # fmt: skip


def told(kind: str, **body: Any) -> Node:
    return Node({"id": "1" * 32, "type": kind, kind: body})


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (told("callout", rich_text=[{"plain_text": "Mind"}], icon={"type": "emoji", "emoji": "⚠️"}), "> ⚠️ Mind"),
        (told("child_page", title="Sub"), f"[page: Sub](https://www.notion.so/{'1' * 32})"),
        (told("link_to_page", type="page_id", page_id="2" * 32), f"[page](https://www.notion.so/{'2' * 32})"),
        (told("bookmark", url="https://a.example", caption=[]), "[https://a.example](https://a.example)"),
        (
            told("file", name="a.pdf", file={"url": "https://s3.example/?X-Amz-Signature=x"}),
            "[file kept by Notion: a.pdf]",
        ),
        (told("meeting_notes", title=[]), "[meeting_notes: not shown]"),
        (told("of_next_year"), "[of_next_year: not shown]"),
        (told("breadcrumb"), ""),
        (told("table", table_width=1), ""),
    ],
)
def test_what_markdown_does_not_know_is_named(node: Node, text: str) -> None:
    assert render([node]) == text


def test_people_and_pages_in_a_text_are_told() -> None:
    page = {"type": "mention", "plain_text": "Plan", "mention": {"type": "page", "page": {"id": "3" * 32}}}
    ann = {"type": "mention", "plain_text": "@Ann", "mention": {"type": "user", "user": {"id": "4"}}}
    sum_ = {"type": "equation", "plain_text": "x^2", "equation": {"expression": "x^2"}}
    assert render([told("paragraph", rich_text=[page, ann, sum_])]) == (
        f"[Plan](https://www.notion.so/{'3' * 32})@Ann$x^2$"
    )


@pytest.mark.parametrize("sign", ["**a ", "[", "`", "_a ", "~~a", "- ", "> ", "|", "*", "![a](", "https://"])
def test_no_text_takes_long(sign: str) -> None:
    begun = time.process_time()
    with contextlib.suppress(ValueError):
        compose(sign * (20_000 // len(sign)))
    assert time.process_time() - begun < 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["paragraph", "table", "to_do"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["type", "paragraph", "rich_text", "to_do", "table", "table_row", "cells", "text", "image"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_nothing_from_outside_makes_it_fail(value: Any) -> None:
    assert isinstance(render(blocks_of(value)), str)
    assert isinstance(render(blocks_of([value])), str)
