"""Rich text to Markdown and back: what people write survives, and nothing that comes from outside makes it fail."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.connectors.text import adf

TEXT = """# Plan

Ship **it** on *Friday* with `make all` and [the notes](<https://example.com/a?b=c>).

- one
- two
  - inside

1. first
2. second

> careful

```python
print("hi")
```

---

| a | b |
| --- | --- |
| 1 | 2 |"""


def test_markdown_comes_back_from_atlassian_as_it_was() -> None:
    document = adf.adf_of(TEXT)
    assert document["version"] == 1
    assert [node["type"] for node in document["content"]] == [
        "heading", "paragraph", "bulletList", "orderedList", "blockquote", "codeBlock", "rule", "table",
    ]  # fmt: skip
    assert adf.markdown_of(document) == TEXT


def test_what_only_atlassian_has_keeps_its_words() -> None:
    def node(kind: str, **facts: Any) -> dict[str, Any]:
        return {"type": kind, "attrs": facts}

    line = {
        "type": "paragraph",
        "content": [
            node("mention", id="5b10", text="@Ada"),
            {"type": "text", "text": " by "},
            node("date", timestamp="1796256000000"),
            {"type": "hardBreak"},
            node("status", text="DONE", color="green"),
            node("emoji", shortName=":smile:", text="😄"),
            node("inlineCard", url="https://example.com/x"),
        ],
    }
    task = {"type": "taskItem", "attrs": {"state": "DONE"}, "content": [{"type": "text", "text": "test"}]}
    document = {
        "type": "doc",
        "content": [
            line,
            {
                "type": "panel",
                "attrs": {"panelType": "info"},
                "content": [line["content"] and {"type": "paragraph", "content": [{"type": "text", "text": "note"}]}],
            },
            {"type": "taskList", "content": [task]},
            {"type": "mediaSingle", "content": [node("media", id="1", alt="plan.png")]},
        ],
    }
    assert adf.markdown_of(document) == (
        "@Ada by 2026-12-03\\\n\\[DONE\\]😄https://example.com/x\n\n> note\n\n- [x] test\n\n\\[attachment plan.png\\]"
    )


def test_code_goes_with_no_other_mark_and_html_is_text() -> None:
    (paragraph,) = adf.adf_of("**`x`** <b>hi</b>")["content"]
    assert paragraph["content"][0] == {"type": "text", "text": "x", "marks": [{"type": "code"}]}
    assert "<b>hi</b>" in "".join(each["text"] for each in paragraph["content"])


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp", "Zs"]), min_size=1, max_size=30
)


@given(WORDS)
def test_any_text_is_the_same_text_after_both_ways(words: str) -> None:
    paragraph = {"type": "paragraph", "content": [{"type": "text", "text": words}]}
    back = adf.adf_of(adf.markdown_of(paragraph))["content"]
    assert "".join(piece["text"] for each in back for piece in each["content"]) == words


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["paragraph", "table", "text"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "content",
                    "attrs",
                    "marks",
                    "text",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_nothing_from_outside_makes_it_fail(value: Any) -> None:
    assert isinstance(adf.markdown_of(value), str)


@pytest.mark.parametrize("deep", [5_000])
def test_a_document_nested_without_end_is_cut(deep: int) -> None:
    node: dict[str, Any] = {"type": "text", "text": "x"}
    for _ in range(deep):
        node = {"type": "blockquote", "content": [node]}
    assert len(adf.markdown_of(node)) < 10_000
