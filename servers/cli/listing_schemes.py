"""`clew webhooks schemes`: how each provider signs, from the data that verifies it."""

from argparse import Namespace
from typing import Any

from clew.connectors.webhooks.catalog import SCHEMES
from clew.core.webhooks import Scheme
from clew.servers.cli.output import emit, emit_json, table

_HEADINGS = ("SCHEME", "PROVIDER", "SIGNED WITH", "WINDOW", "SECRET")


def list_schemes(arguments: Namespace) -> int:
    """Print the named schemes, as a table, as JSON, or as the rows of docs/events.md."""
    known = sorted(SCHEMES.values(), key=lambda scheme: scheme.name)
    if arguments.markdown:
        emit(markdown())
    elif arguments.json:
        emit_json([_facts(each) for each in known])
    else:
        rows = [(each.name, each.title, _proof(each), _window(each), each.secret) for each in known]
        table(_HEADINGS, rows)
    return 0


def markdown() -> str:
    """The table of docs/events.md."""
    lines = ["| scheme | provider | proof | window | delivery id | handshakes | what the secret is | source |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for scheme in sorted(SCHEMES.values(), key=lambda each: each.name):
        cells = (
            f"`{scheme.name}`", scheme.title, _proof(scheme), _window(scheme), _ids(scheme),
            ", ".join(f"`{each.name}`" for each in scheme.handshakes), scheme.secret, scheme.source,
        )  # fmt: skip
        lines.append("| " + " | ".join(cell.replace("|", "\\|") or "-" for cell in cells) + " |")
    return "\n".join(lines)


def _facts(scheme: Scheme) -> dict[str, Any]:
    return {
        "name": scheme.name,
        "provider": scheme.title,
        "proofs": [each.describe() for each in scheme.proofs],
        "window_seconds": scheme.proofs[0].replayable_for,
        "body_is_signed": scheme.covers_body,
        "delivery_id": scheme.delivery_id,
        "event_type": scheme.event_type,
        "handshakes": [each.name for each in scheme.handshakes],
        "secret": scheme.secret,
        "source": scheme.source,
    }


def _proof(scheme: Scheme) -> str:
    return "; or ".join(dict.fromkeys(each.describe() for each in scheme.proofs))


def _window(scheme: Scheme) -> str:
    window = scheme.proofs[0].replayable_for
    return "-" if window is None else f"{window:.0f} s"


def _ids(scheme: Scheme) -> str:
    places = (scheme.delivery_id,) if isinstance(scheme.delivery_id, str) else scheme.delivery_id
    return ", ".join(f"`{each}`" for each in places) if places else "hash of the body"
