"""securitySchemes to the ways of authenticating that we have; what we have none for is noted."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from clew.auth.endpoints import Variable
from clew.auth.schemes import ApiKey, Basic, Bearer, ClientCredentials, OAuth2
from clew.core.credentials import Scheme
from clew.core.errors import ConfigurationError
from clew.core.fields import as_object
from clew.servers.descriptions.documents import Document, Node, UnsupportedError, objects, texts
from clew.servers.descriptions.names import sentence
from clew.servers.descriptions.sources import check_address

_HEADER = "abcdefghijklmnopqrstuvwxyz0123456789-_"


def of_option(text: str, more: str = "") -> tuple[Scheme, ...]:
    """What the operator says: `bearer`, `basic`, `api_key:HEADER`, `none`. Raises `ConfigurationError`, which names
    what is taken there in addition (`more`)."""
    kind, _, name = text.partition(":")
    if kind == "api_key" and name and not set(name.lower()) - set(_HEADER):
        return (ApiKey(header=name),)
    plain: Mapping[str, tuple[Scheme, ...]] = {"bearer": (Bearer(),), "basic": (Basic(),), "none": ()}
    if text not in plain:
        raise ConfigurationError(
            f"auth={text[:40]!r}: say {more and more + ', '}bearer, basic, api_key:HEADER or none."
        )
    return plain[text]


def declared(
    document: Document, base_url: str, variables: Mapping[str, Variable], *, anywhere: bool
) -> tuple[dict[str, Scheme], list[str]]:
    """The schemes by their names in the document, and notes. Unless `anywhere`, addresses for logins must be of the
    API's own site: a description that changes must not be able to send a refresh token somewhere else."""
    root = document.root
    components = as_object(root.get("components")) or {}
    named = as_object(root.get("securityDefinitions") if document.is_old else components.get("securitySchemes")) or {}
    found: dict[str, Scheme] = {}
    notes: list[str] = []
    for name, raw in list(named.items())[:50]:
        try:
            for scheme in _schemes(document.follow(raw), base_url, variables, anywhere):
                found.setdefault(name if name not in found else f"{name}_2", scheme)
        except (UnsupportedError, ConfigurationError) as error:
            notes.append(f"security scheme {sentence(name, 60)!r} is left out: {error}")
    return found, notes


def _schemes(node: Node, base_url: str, variables: Mapping[str, Variable], anywhere: bool) -> Iterator[Scheme]:
    kind = str(node.get("type", "")).lower()
    more: dict[str, Any] = {"variables": dict(variables)}
    if kind == "basic" or (kind == "http" and str(node.get("scheme", "")).lower() == "basic"):
        yield Basic(**more)
    elif kind == "http" and str(node.get("scheme", "")).lower() == "bearer":
        yield Bearer(**more)
    elif kind == "apikey":
        yield _key(node, more)
    elif kind == "oauth2":
        flows = objects([node]) if "flow" in node else list(_flows(node))
        made = [each for flow in flows for each in _flow(flow, base_url, variables, anywhere)]
        if not made:
            raise UnsupportedError("only the authorization code and client credentials flows are known")
        yield from made
    elif kind == "openidconnect" and isinstance(node.get("openIdConnectUrl"), str):
        yield OAuth2(discovery_url=_address(node["openIdConnectUrl"], base_url, anywhere), **more)
    else:
        raise UnsupportedError(f"the type {sentence(kind, 30) or 'none'!r} is not known")


def _key(node: Node, more: dict[str, Any]) -> Scheme:
    name, place = str(node.get("name", "")), node.get("in")
    if not name or set(name.lower()) - set(_HEADER) or place not in ("header", "query"):
        raise UnsupportedError("its key is neither in a header nor in the query")
    if place == "query":
        return ApiKey(query=name, **more)
    said = str(node.get("description", "")).lower()
    if name.lower() == "authorization":
        return Bearer(prefix="Bearer" if "bearer" in said else "", **more)
    return ApiKey(header=name, **more)


def _flows(node: Node) -> Iterator[Node]:
    for name, raw in (as_object(node.get("flows")) or {}).items():
        flow = as_object(raw)
        if flow is not None:
            yield {**flow, "flow": name}


def _flow(flow: Node, base_url: str, variables: Mapping[str, Variable], anywhere: bool) -> Iterator[Scheme]:
    kind = flow.get("flow")
    token = flow.get("tokenUrl")
    if kind not in ("authorizationCode", "accessCode", "clientCredentials", "application") or not isinstance(
        token, str
    ):
        return
    token = _address(token, base_url, anywhere)
    if kind in ("clientCredentials", "application"):
        yield ClientCredentials(token_url=token, variables=dict(variables))
        return
    refresh = flow.get("refreshUrl")
    yield OAuth2(
        authorize_url=_address(str(flow.get("authorizationUrl", "")), base_url, anywhere),
        token_url=token,
        refresh_url=_address(refresh, base_url, anywhere) if isinstance(refresh, str) and refresh else None,
        variables=dict(variables),
    )


def _address(text: str, base_url: str, anywhere: bool) -> str:
    address = urljoin(base_url, text)
    check_address(address, "logins")
    if not anywhere and _site(address) != _site(base_url):
        raise UnsupportedError(
            f"its logins are at {urlsplit(address).hostname}, another site than the API's; write a module with "
            "'clew new NAME --openapi' and own it"
        )
    return address


def _site(address: str) -> str:
    """The last two labels of a host, three under what looks like a country's second level; an IP address whole."""
    host = urlsplit(address).hostname or ""
    labels = host.split(".")
    if ":" in host or labels[-1].isdigit():
        return host
    many = 3 if len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3 else 2
    return ".".join(labels[-many:])


def scopes_of(operation: Node, root: Node, schemes: Mapping[str, Scheme]) -> tuple[str, ...]:
    """The OAuth scopes that an operation needs; of alternatives the first that names some."""
    wanted = operation.get("security", root.get("security"))
    for choice in objects(wanted)[:20]:
        for name, scopes in choice.items():
            plain = [each for each in texts(scopes) if each.isprintable() and " " not in each and "|" not in each]
            if plain and isinstance(schemes.get(name), OAuth2 | ClientCredentials):
                return tuple(plain[:20])
    return ()
