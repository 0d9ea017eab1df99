"""What the long attacks on refreshes did, slice by slice in a file, and the page that is made of it."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.attacks.refreshing import Kill, Race

PAGE = Path(__file__).resolve().parent.parent / "docs" / "credentials-attack.md"

HEAD = """# Attacks on refreshes: what happened

Made by `scripts/attack-refresh --page` from recorded runs; do not edit. The processes are real, and so is `kill -9`.

1. **Race**: 8 processes with 50 tasks each meet one expired token whose refresh token may be used once. The token
   endpoint takes 0 to 3 s, before or after its work. In every other round the clock says that the token ended, in the
   rest the provider refuses it. Won: exactly one refresh, no second use, no ended grant, 400 successes.
2. **Kill**: one process is killed at a random moment between its request and the commit of its row: at a line of ours,
   at any line of Python, or after a random time. Then two others want the token, twice. As promised: a pair that was
   received and stored is used by all; one that never arrived is either renewed or reported as `auth_revoked` with the
   login command, with at most three requests and never another one afterwards.

Every recorded run counts. The attack skips the half minute for which a dead process's lease goes on, so it first waits
until the provider is done with what that process sent. An earlier form of the attack did not, and 3 of 1 125 kills were
not as promised: where the two crossed, the survivors' request or the victim's came out as a second use. That the wait
is the whole difference was tried on a provider that holds each request for 0.1 to 0.5 s: of the same 40 kills 22 were
not as promised without the wait, none with it.
"""


def note(file: Path, slice_: Mapping[str, Any]) -> None:
    """Append one slice."""
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(slice_, sort_keys=True) + "\n")


def seen(file: Path) -> list[dict[str, Any]]:
    """Every slice so far, also one that was run again: nobody may run until it fits."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def of_races(done: "list[Race]") -> dict[str, Any]:
    """What a slice of attack 1 came to."""
    return {
        "attack": "race",
        "runs": len(done),
        "good": sum(each.won(400) for each in done),
        "calls": sum(each.ok for each in done),
        "refreshes": sum(each.counts.refreshed for each in done),
        "reused": sum(each.counts.reused for each in done),
        "killed": sum(each.counts.killed for each in done),
        "slowest": max(each.slowest - each.delay for each in done),
    }


def of_kills(done: "list[Kill]") -> dict[str, Any]:
    """What a slice of attack 2 came to."""
    return {
        "attack": "kill",
        "runs": len(done),
        "good": sum(not each.error for each in done),
        "requests": max(each.requests for each in done),
        "endings": Counter(f"{each.where}|{'yes' if each.carried_out else 'no'}|{each.fate}" for each in done),
    }


def page(slices: Iterable[Mapping[str, Any]]) -> str:
    """The page as text."""
    kept = list(slices)
    races, kills = ([each for each in kept if each["attack"] == attack] for attack in ("race", "kill"))
    lines = [
        HEAD, "## Races", "",
        "| authorization server | store | rounds | won | calls ok | refreshes | second uses | grants ended | slowest |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for (provider, store), group in _grouped(races):
        total = {name: sum(each[name] for each in group) for name in ("runs", "good", "calls", "refreshes", "reused")}
        ended, slowest = sum(each["killed"] for each in group), max(each["slowest"] for each in group)
        cells = [
            provider, store, total["runs"], total["good"], f"{total['calls']} of {400 * total['runs']}",
            total["refreshes"], total["reused"], ended, f"{slowest:.1f} s after the endpoint",
        ]  # fmt: skip
        lines.append(_row(cells))
    lines += [
        "", "## Kills", "",
        "| authorization server | store | runs | as promised | most requests in a run |",
        "| --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for (provider, store), group in _grouped(kills):
        runs, good = (sum(each[name] for each in group) for name in ("runs", "good"))
        lines.append(_row([provider, store, runs, good, max(each["requests"] for each in group)]))
    lines += [
        "", "How far the victim had come when it died, whether the provider had carried out its request, and what the",
        "survivors met:", "",
        "| the victim was | carried out | the survivors | runs |", "| --- | --- | --- | --- |",
    ]  # fmt: skip
    endings = _endings(kills)
    lines += [_row([*ending.split("|"), endings[ending]]) for ending in sorted(endings)]
    return "\n".join([*lines, ""])


def _endings(kills: list[Mapping[str, Any]]) -> Counter[str]:
    """How often each kill ended how."""
    total: Counter[str] = Counter()
    for each in kills:
        total.update(each["endings"])
    return total


def _grouped(slices: list[Mapping[str, Any]]) -> list[tuple[tuple[str, str], list[Mapping[str, Any]]]]:
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for each in slices:
        found.setdefault((each["provider"], each["store"]), []).append(each)
    return sorted(found.items())


def _row(cells: list[Any]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"
