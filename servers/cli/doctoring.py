"""`clew doctor`: is everything here as it should be, and if not, what helps?"""

import asyncio
from argparse import Namespace
from collections import Counter
from dataclasses import asdict

from clew.servers.cli.output import Cell, emit_json, table, talk
from clew.servers.cli.start import begin
from clew.servers.health import Finding, examine
from clew.servers.settings import Settings

_WORDS = {"ok": "ok", "note": "note", "warning": "look", "failure": "broken"}


def doctor(arguments: Namespace) -> int:
    """Print what was found: 0 unless something is broken."""
    settings = begin(http=not arguments.offline)
    found = asyncio.run(_examined(settings, online=not arguments.offline))
    broken = sum(each.verdict == "failure" for each in found)
    if arguments.json:
        emit_json([asdict(each) for each in found])
        return 1 if broken else 0
    table(("", "ABOUT", "FOUND"), [_row(each) for each in found])
    advice = [f"  {each.about}: {each.fix}" for each in found if each.fix]
    if advice:
        talk("", "What to do:", *advice)
    count = Counter(each.verdict for each in found)
    said = [f"{count['failure']} broken"] * bool(broken) + [f"{count['warning']} to look at"] * bool(count["warning"])
    talk("", f"{', '.join(said)}." if said else "Everything is as it should be.")
    return 1 if broken else 0


async def _examined(settings: Settings, *, online: bool) -> list[Finding]:
    return [each async for each in examine(settings, online=online)]


def _row(finding: Finding) -> list[str | Cell]:
    colour = {"failure": "red", "warning": "yellow"}.get(finding.verdict)
    word = _WORDS[finding.verdict]
    return [Cell(word, "red" if colour == "red" else "yellow") if colour else word, finding.about, finding.said]
