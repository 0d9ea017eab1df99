"""The scorecard of `clew check`, for people and for programs."""

from argparse import Namespace

from clew.core.errors import ConfigurationError
from clew.core.registry import discover
from clew.servers.cli.output import emit, emit_json, paint, talk
from clew.servers.cli.start import begin
from clew.testing.kit import CHECKS, Scorecard, Seen, Subject, check
from clew.testing.places import shown
from clew.testing.snapshot import write_down


def check_connectors(arguments: Namespace) -> int:
    """Examine each, print the scorecards; 1 when one has a fault."""
    settings = begin(http=True, tenant=arguments.tenant)
    names = list(discover()) if arguments.all else list(arguments.names)
    if not names:
        raise ConfigurationError("name a connector, or give --all.")
    if arguments.live:
        from clew.servers.cli.checking_live import check_live

        return check_live(settings, arguments, names)
    only = tuple(each.strip() for each in str(arguments.only).split(",") if each.strip())
    cards: list[Scorecard] = []
    for name in names:
        subject = Subject.of(name, examples=arguments.examples)
        written = write_down(subject) if arguments.update else None
        if written is not None:
            talk(f"clew: wrote {shown(written)}")
            subject = Subject.of(subject.connector if name.endswith(".py") else name, examples=written.parent.parent)
        cards.append(check(subject, only=only))
    if arguments.json:
        emit_json([card.as_dict() for card in cards] if len(cards) > 1 else cards[0].as_dict())
    else:
        for card in cards:
            show(card, brief=len(cards) > 1)
    return 0 if all(card.passed and not (arguments.strict and _advised(card)) for card in cards) else 1


def _advised(card: Scorecard) -> bool:
    return any(seen.findings for seen in card.seen.values())


def show(card: Scorecard, *, brief: bool = False) -> None:
    """Print a scorecard; a brief one leaves out what is fine."""
    passed, seconds = sum(seen.passed for seen in card.seen.values()), sum(seen.seconds for seen in card.seen.values())
    word = paint("fit", "bold") if card.passed else paint("not fit yet", "red")
    emit(f"{card.connector}: {word}, {passed} of {len(card.seen)} checks, {seconds:.1f} s")
    for name, seen in card.seen.items():
        if not brief or seen.findings:
            _show_check(name, seen)


def _show_check(name: str, seen: Seen) -> None:
    mark = "ok   " if seen.passed else paint("FAULT", "red")
    emit(f"  {mark} {name:<9} {CHECKS[name][1]} ({seen.count})")
    for finding in seen.findings:
        word = paint("advice ", "yellow") if finding.advice else ""
        emit(f"          {word}{finding.line}")
    for skipped in seen.skipped:
        emit(f"          {paint(f'not looked at: {skipped}', 'dim')}")
