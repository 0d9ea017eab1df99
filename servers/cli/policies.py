"""`clew policy`: what may happen without a person, and what the rules say about one call."""

from argparse import Namespace
from typing import Any

from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.connector import Effect
from clew.core.policy import Decision, PolicyRule, PreviewNeededError, Request, Ruling
from clew.core.registry import load
from clew.servers.cli.arguments import read_arguments
from clew.servers.cli.calling import find_tool
from clew.servers.cli.output import emit, emit_json, facts, table
from clew.servers.cli.start import begin


def show_policy(arguments: Namespace) -> int:
    """The rules in their order, and what holds where none fits."""
    settings = begin()
    policy = settings.policy
    changes = "denied: this server is read-only" if policy.read_only else ""
    writes = {Decision.ASK: "asked about once per session", Decision.ALLOW: "allowed", Decision.DENY: "denied"}
    defaults = {
        Effect.READ: "allowed",
        Effect.WRITE: changes or writes[policy.writes],
        Effect.DESTRUCTIVE: changes or "asked about every time",
    }
    if arguments.json:
        emit_json({"rules": [_as_dict(rule) for rule in policy.rules], "defaults": defaults})
        return 0
    if policy.rules:
        rows = [(rule.name, _scope(rule), _terms(rule), _then(rule)) for rule in policy.rules]
        table(("RULE", "CALLS", "WHEN", "THEN"), rows)
        emit("")
    emit("Where no rule fits:" if policy.rules else "There are no rules. By default:")
    facts([(f"  {effect.value}", text) for effect, text in defaults.items()])
    return 0


def explain_policy(arguments: Namespace) -> int:
    """What would be decided about one call, by which rule."""
    settings = begin()
    connector = load(arguments.connector)
    tool = find_tool(connector, arguments.tool)
    given = read_arguments(tool, arguments.pairs, None)
    account = arguments.account or settings.of(connector.name).account or "any"
    where = Connection(settings.tenant or LOCAL_TENANT, connector.name, account)
    request = Request(tool, given, where, confidence=arguments.confidence)
    try:
        ruling = settings.policy.judge(request)
    except PreviewNeededError:
        ruling = Ruling(Decision.ASK, "a rule looks at the object itself; it is decided when the call is made")
    asking = connector.asking.get(tool.name)
    if (
        ruling.rule is None
        and ruling.decision is not Decision.DENY
        and asking
        and asking.when(tool.signature.check(given))
    ):
        ruling = Ruling(Decision.ASK, f"{tool.name} reaches other people this way")
    data: dict[str, Any] = {"decision": ruling.decision.value, "because": ruling.because}
    if ruling.decision is Decision.ASK:
        data |= {
            "good_for": f"this {ruling.once.value}",
            "people": ruling.needed,
            "approvers": list(ruling.approvers) or "anybody who can be asked",
            "channels": [each.value for each in ruling.channels],
        }
    if arguments.json:
        emit_json(data)
    else:
        facts([(name.replace("_", " "), _words(value)) for name, value in data.items()])
    return 0


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _scope(rule: PolicyRule) -> str:
    effect = rule.effect.value if rule.effect else ""
    parts = [".".join(filter(None, (rule.connector, rule.tool))), effect, rule.account, rule.tenant]
    return " ".join(filter(None, parts)) or "all"


def _terms(rule: PolicyRule) -> str:
    parts = [str(each) for each in rule.when]
    parts += [f"during {rule.during}"] if rule.during else []
    parts += [f"outside {rule.outside}"] if rule.outside else []
    parts += [f"more than {rule.above}"] if rule.above else []
    parts += [f"confidence below {rule.confidence:g}"] if rule.confidence is not None else []
    return ", ".join(parts) or "always"


def _then(rule: PolicyRule) -> str:
    if rule.then is not Decision.ASK:
        return rule.then.value
    people = f" {rule.needed} of" if rule.needed > 1 else ""
    whom = f"{people} {', '.join(rule.approvers)}" if rule.approvers else (f"{people} them" if people else "")
    return f"ask{whom}"


def _as_dict(rule: PolicyRule) -> dict[str, Any]:
    return {
        "name": rule.name, "calls": _scope(rule), "when": _terms(rule), "then": rule.then.value,
        "approvers": list(rule.approvers), "needed": rule.needed, "channels": [each.value for each in rule.channels],
        "expires_seconds": rule.expires,
    }  # fmt: skip
