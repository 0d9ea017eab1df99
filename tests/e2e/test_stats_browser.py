"""The page of `clew stats --html` in Chromium: readable on a desk and on a phone, by day and by night.

`CLEW_SHOTS=docs/images pytest -m testbed tests/e2e/test_stats_browser.py` also writes the picture of the docs.
"""

# playwright is only there with the extra `testbed`.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownMemberType=false

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clew.servers.stats import Statistics
from clew.servers.stats_page import render

from .test_console_browser import chromium

pytestmark = [pytest.mark.anyio, pytest.mark.testbed]

TOOLS = (
    ("github", "list_issues", "read", 9), ("github", "create_issue", "write", 3), ("slack", "post_message", "write", 5),
    ("google_calendar", "create_event", "write", 2), ("hubspot", "search_contacts", "read", 6),
    ("stripe", "refund_payment", "destructive", 1),
)  # fmt: skip
ENDS = {"ok": 900, "not_found": 12, "rate_limited": 8, "transient": 7, "invalid_input": 9, "permission": 3, "denied": 2,
        "approval_required": 2, "outcome_unknown": 2}  # fmt: skip
BEGAN = 1_793_000_000.0
SMALLEST = 10.0
"""Pixels of the smallest letters that a person can be asked to read."""


def week() -> Iterator[dict[str, Any]]:
    """A week of a team's agents, always the same."""
    chance = random.Random(7)
    at, task = BEGAN, 0
    for number in range(1500):
        connector, tool, effect, _ = chance.choices(TOOLS, [each[3] for each in TOOLS])[0]
        code = chance.choices(list(ENDS), list(ENDS.values()))[0]
        at += chance.expovariate(1500 / (7 * 86400.0))
        task += chance.random() < 0.35
        destructive = effect == "destructive" and code == "ok"
        yield {
            "reference": f"{number:016x}", "number": number + 1, "connector": connector, "tool": tool, "effect": effect,
            "account": "work", "tenant": "local", "started": at, "seconds": 0.1 + chance.expovariate(3), "code": code,
            "outcome": "unknown" if code == "outcome_unknown" else "applied" if code == "ok" else "not_applied",
            "task": f"T-{task}", "tokens_in": chance.randint(5, 80), "tokens_out": chance.randint(80, 2400),
            "units": {"requests": 1.0},
            "attempts": [{"method": "GET", "route": "/x", "status": 200}],
            **({"answer": "agreed", "answered_after": chance.expovariate(1 / 60)} if destructive else {}),
        }  # fmt: skip


def drawn() -> str:
    found = Statistics("tool", {"currency": "EUR", "tokens_in": 3.0, "tokens_out": 15.0, "units": {}})
    for record in week():
        found.add(record)
    return render(found.as_dict())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1200, 900), (390, 844)], ids=["desk", "phone"])
async def test_the_page_can_be_read_without_moving_it_sideways(
    tmp_path: Path, scheme: str, width: int, height: int
) -> None:
    file = tmp_path / "stats.html"
    file.write_text(drawn(), encoding="utf-8")
    async with chromium(width=width, height=height) as page:
        await page.emulate_media(color_scheme=scheme)
        await page.goto(file.as_uri())
        assert await page.evaluate("document.documentElement.scrollWidth") == width
        letters: list[float] = await page.evaluate(
            """() => [...document.querySelectorAll('body *')]
                .filter(each => each.checkVisibility() && each.tagName !== 'title')
                .filter(each => [...each.childNodes].some(one => one.nodeType === 3 && one.data.trim()))
                .map(each => parseFloat(getComputedStyle(each).fontSize)
                    * (each.ownerSVGElement ? each.getScreenCTM().a : 1))"""
        )
        assert len(letters) > 60
        assert min(letters) >= SMALLEST
        paper = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(246, 247, 249)") is (scheme == "light")
        assert page.wrong == []
        folder = os.environ.get("CLEW_SHOTS")
        if folder and (scheme, width) == ("light", 1200):
            await page.screenshot(path=f"{folder}/stats.png", full_page=True)
