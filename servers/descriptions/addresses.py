"""Where the API of a description is. The document says it, so it is believed only as far as it cannot do harm."""

import re
from urllib.parse import urljoin, urlsplit

from clew.auth.endpoints import Variable
from clew.core.errors import ConfigurationError
from clew.core.fields import as_object
from clew.servers.descriptions.documents import Document, Node, objects, texts
from clew.servers.descriptions.names import sentence, snake
from clew.servers.descriptions.sources import Source, check_address, is_private

_HOLE = re.compile(r"\{([^{}]{1,60})\}")
_PLACEHOLDER = re.compile(r"(//|\.)(your[-_]?[a-z]+)(?=[./]|$)")
"""`https://your-domain.atlassian.net`: every account has its own."""


def base_url_of(document: Document, source: Source) -> tuple[str, dict[str, Variable], list[str]]:
    """The API's root address, the variables in it, and notes. Raises `ConfigurationError` when there is none to use.

    A description from the network must not lead into this network. What an operator names is used as it is.
    """
    if "base_url" in source.options:
        chosen = source.options["base_url"].rstrip("/")
        check_address(chosen, "an API")
        return chosen, {}, []
    found: list[Node] = [{"url": each} for each in _old(document.root)] if document.is_old else []
    found = found or objects(document.root.get("servers")) or ([{"url": "/"}] if source.is_remote else [])
    why = "it names no server"
    for server in found[:20]:
        try:
            address, variables = _filled(server, source)
            shown = _HOLE.sub("x", address)
            check_address(shown, "an API")
            host = urlsplit(shown).hostname or ""
            if source.is_remote and is_private(host) and host != source.host:
                raise ConfigurationError(f"{address} is inside this network, and the description is not.")
            return address.rstrip("/"), variables, []
        except ConfigurationError as error:
            why = str(error).rstrip(".")
    raise ConfigurationError(
        f"the description says nothing usable about where the API is ({why}): add #base_url=https://…"
    )


def _old(root: Node) -> list[str]:
    host, path = root.get("host"), root.get("basePath")
    if not isinstance(host, str):
        return [path] if isinstance(path, str) else []
    schemes = texts(root.get("schemes")) or ["https"]
    scheme = "https" if "https" in schemes else schemes[0]
    return [f"{scheme}://{host}{path if isinstance(path, str) else ''}"]


def _filled(server: Node, source: Source) -> tuple[str, dict[str, Variable]]:
    """The address with what the document settles filled in; what an account has to say stays a variable."""
    url = server.get("url")
    if not isinstance(url, str) or len(url) > 500:
        raise ConfigurationError("it names no server")
    declared = as_object(server.get("variables")) or {}
    variables: dict[str, Variable] = {}

    def fill(match: re.Match[str]) -> str:
        fact = as_object(declared.get(match[1])) or {}
        default = str(fact.get("default", ""))
        if default and (texts(fact.get("enum")) or not re.match(r"(?:https?://)?\{", url)):
            plain = re.fullmatch(r"[A-Za-z0-9._:/-]{1,200}", default)
            if plain and not re.search(r"\b(?:your|example|my|sub)", default, re.IGNORECASE):
                return default
        name = snake(match[1])
        variables[name] = Variable(help=sentence(fact.get("description"), 100))
        return f"{{{name}}}"

    def placeholder(match: re.Match[str]) -> str:
        name = snake(match[2])
        variables[name] = Variable(help=f"what stands for {match[2]} in your address")
        return f"{match[1]}{{{name}}}"

    address = _PLACEHOLDER.sub(placeholder, _HOLE.sub(fill, url))
    if not re.match(r"[a-z]+://", address):
        if not source.is_remote:
            raise ConfigurationError("its server is relative to where it was published")
        address = urljoin(source.place, address)
    if "?" in address or not re.fullmatch(r"[A-Za-z0-9\-._~:/@!$&'()*+,;=%{}\[\]]+", address):
        raise ConfigurationError("its server is no plain address")
    return address, variables
