"""What a person gives beside secrets: scopes, and the variables that a provider's addresses need."""

import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence

from clew.auth.endpoints import Variable, names_in
from clew.auth.origins import Place, connection_url, declared_variables, is_loopback, origin_of
from clew.auth.schemes import AwsWebIdentity, JwtBearer, Minted, OAuth2, TokenScheme
from clew.core.connector import Connector
from clew.core.credentials import Scheme
from clew.core.errors import ConfigurationError
from clew.servers.cli.output import is_terminal, talk
from clew.servers.settings import Settings

_GIVEN = ("identity_file", "identity_url", "identity_header", "session_name", "certificate_file", "key_file", "key_id")
"""Variables that need no declaration: where this machine keeps something."""


def wanted_scopes(connector: Connector, settings: Settings, given: str | None) -> tuple[str, ...] | None:
    """The scopes to ask for: those given, else the connector's own and those of the tools that this server offers."""
    if given:
        return tuple(dict.fromkeys(each.strip() for each in given.split(",") if each.strip()))
    from clew.servers.offering import select_tools

    scheme = next((each for each in connector.schemes if isinstance(each, OAuth2)), None)
    names = {*connector.tools, *(tool.toolset for tool in connector.tools.values())}
    only = [each for each in settings.tools if {each, each.removeprefix(f"{connector.name}_")} & names]
    offered = select_tools([connector], policy=settings.policy, only=only)
    choices = dict.fromkeys(scope for bound in offered.values() for scope in bound.tool.scopes)
    return tuple(dict.fromkeys([*(scheme.scopes if scheme else ()), *_fewest(choices)]))


def _fewest(choices: Iterable[str]) -> list[str]:
    """One scope of each choice (`repo|public_repo`): the first, unless another that is asked anyway will do."""
    split = [each.split("|") for each in choices]
    asked = list(dict.fromkeys(names[0] for names in split))
    for names in split:
        others = set(asked) - {names[0]}
        if names[0] in asked and all(others & set(each) for each in split if each[0] == names[0]):
            asked.remove(names[0])
    return asked


def variables_of(connector: Connector, scheme: Scheme, arguments: Namespace) -> dict[str, str]:
    """The connection's variables, from `--set`, asked for on a terminal when they are missing.

    Raises `ConfigurationError` for a malformed, unknown or missing one.
    """
    given = _parsed(arguments.set)
    if getattr(arguments, "issuer", None):
        given["issuer"] = arguments.issuer
    declared = declared_variables([scheme]) or declared_variables(connector.schemes)
    needed = _needed(connector, scheme, declared)
    unknown = sorted(set(given) - set(declared) - set(needed) - set(_GIVEN))
    if unknown:
        known = ", ".join(dict.fromkeys([*needed, *declared])) or "nothing"
        raise ConfigurationError(f"--set {unknown[0]}: {connector.name} knows no such value. It takes: {known}.")
    for name in needed:
        variable = declared.get(name, Variable())
        if name not in given and variable.default is None and not variable.optional:
            given[name] = _ask(connector, name, variable)
    return {name: declared.get(name, _ANY).check(name, value) for name, value in given.items()}


_ANY = Variable(pattern=r"[^\s\x00-\x1f][^\x00-\x1f]{0,1000}")


def chosen_place(connector: Connector, settings: Settings, given: str | None) -> Place:
    """Where a new credential will be sent; `given` is what the person said with `--origin`.

    An address from a project's own file counts only when the person has named it too: the file may have come with
    somebody else's project. Raises `ConfigurationError`.
    """
    place = settings.place(connector.name, connector.base_url)
    if given is not None and origin_of(given) != place.origin:
        raise ConfigurationError(f"--origin is {origin_of(given)}, but {connector.name} is at {place.origin}.")
    foreign = place.origin != origin_of(connector.base_url) and not is_loopback(place.address)
    if foreign and given is None and settings.of_project(f"connectors.{connector.name}.base_url"):
        raise ConfigurationError(
            f"{place.source} would send this credential to {place.origin} and not to {origin_of(connector.base_url)}: "
            f"nothing was asked or sent. If you mean that, add --origin {place.origin}"
        )
    return place


def base_url_of(connector: Connector, place: Place, variables: Mapping[str, str]) -> str:
    """The connector's root address for these variables; the template itself while the provider has yet to name them."""
    try:
        return connection_url(place.address, connector.schemes, variables)
    except ConfigurationError:
        return place.address


def _needed(connector: Connector, scheme: Scheme, declared: Mapping[str, Variable]) -> list[str]:
    """The names in the templates, and those declared, but for secrets and for what a token answer brings."""
    templates, brought = [connector.base_url], set[str]()
    if isinstance(scheme, TokenScheme):
        templates += [str(getattr(scheme, name, "") or "") for name in _ADDRESSES]
        brought = {*scheme.answer.keep, *getattr(scheme, "key_file", {})}
    if isinstance(scheme, Minted):
        templates += _signed(scheme)
        brought |= {*scheme.fields, "region"}
    own = ["client_id"] if isinstance(scheme, Minted) and _names_client(scheme) else []
    own += ["role"] if isinstance(scheme, AwsWebIdentity) else []
    found = dict.fromkeys([*own, *names_in(*templates), *declared])
    return [name for name in found if name not in brought and name not in _GIVEN]


def _signed(scheme: Minted) -> list[str]:
    """The templates of what is signed or sent for a token."""
    sent = [*scheme.token_parameters.values(), *scheme.token_headers.values()]
    if not _signs(scheme):
        return sent
    said = scheme.assertion
    return [*sent, said.issuer, said.subject, said.audience, *said.claims.values()]


def _names_client(scheme: Minted) -> bool:
    """Does this scheme need a client id that the connector does not have?"""
    said = (scheme.assertion.issuer, scheme.assertion.subject) if _signs(scheme) else ()
    return scheme.client_id is None and (scheme.client_auth != "none" or any("{client_id}" in each for each in said))


def _signs(scheme: Minted) -> bool:
    return isinstance(scheme, JwtBearer) or "private_key" in scheme.fields


_ADDRESSES = ("authorize_url", "token_url", "device_url", "discovery_url")


def _parsed(pairs: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name or not value:
            raise ConfigurationError(f"--set wants NAME=VALUE, not {pair[:60]!r}.")
        found[name] = value
    return found


def _ask(connector: Connector, name: str, variable: Variable) -> str:
    hint = f" ({variable.help})" if variable.help else ""
    if not is_terminal(sys.stdin):
        raise ConfigurationError(f"{connector.name} needs a {name}{hint}: --set {name}=…")
    talk(f"{connector.title or connector.name} {name}{hint}:")
    value = sys.stdin.readline().strip()
    if not value:
        raise ConfigurationError(f"no {name} was entered; nothing was stored.")
    return value
