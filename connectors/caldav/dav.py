"""WebDAV's requests and answers: XML out, XML in, and paths as the tools name them.

A path is written decoded and begins below the server's root address. One that ends with `/` is a collection.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from clew import Api, Response, errors

XML = "application/xml; charset=utf-8"
SPACES = 'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"'


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a resource: its text, the names of all elements in it, its hrefs, and the components it names."""

    text: str
    names: tuple[str, ...]
    hrefs: tuple[str, ...]
    components: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """One resource of an answer: where it is, its status when it has one of its own, and the properties it has.

    `host` is the one that the server named in the place of its own; nothing is sent there. `href` is the path as the
    server writes it.
    """

    path: str
    href: str
    host: str
    status: int
    properties: Mapping[str, Property]

    def text(self, name: str) -> str | None:
        """The text of a property; None when there is none."""
        found = self.properties.get(name)
        return found.text if found is not None and found.text else None


NOTHING = Property("", (), (), ())


async def send(api: Api, method: str, path: str, body: str, *, depth: int = 0) -> Response:
    """Send a PROPFIND or REPORT."""
    template, values = place(path)
    content = f'<?xml version="1.0" encoding="utf-8"?>{body}'.encode()
    headers = {"Depth": str(depth)}
    return await api.request(method, template, *values, headers=headers, content=content, content_type=XML)


async def ask(api: Api, method: str, path: str, body: str, *, depth: int = 0) -> list[Member]:
    """Send a PROPFIND or REPORT and read the resources of its answer."""
    return members(await send(api, method, path, body, depth=depth), path)


async def propfind(api: Api, path: str, *names: str, depth: int = 0) -> list[Member]:
    """The properties `names` (with their prefixes) of a resource, with `depth=1` of those in it too."""
    wanted = "".join(f"<{name}/>" for name in names)
    return await ask(api, "PROPFIND", path, f"<D:propfind {SPACES}><D:prop>{wanted}</D:prop></D:propfind>", depth=depth)


def quoted(text: str) -> str:
    """A text as it may stand in XML. Raises `InvalidInputError` for characters that XML has not."""
    if re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", text):
        raise errors.InvalidInputError("a text holds characters that cannot be sent.")
    return html.escape(text)


def place(path: str) -> tuple[str, tuple[str, ...]]:
    """A path as template and values."""
    if path == "/":
        return "/", ()
    return ("/{+}/" if path.endswith("/") else "/{+}"), (path,)


def members(answer: Response, asked: str) -> list[Member]:
    """The resources of a multi-status answer to a request for the path `asked`. Raises `ContractChangedError`."""
    root = answer.markup()
    if root.name != "multistatus":
        raise errors.ContractChangedError("the server's answer is no list of resources.", status=answer.status)
    own = urlsplit(answer.url)
    at = unquote(own.path)
    above = at.removesuffix(asked) if at.endswith(asked) else ""
    found: list[Member] = []
    for response in root.children:
        href, line = response.child("href"), response.child("status")
        if response.name != "response" or href is None:
            continue
        properties: dict[str, Property] = {}
        for propstat in response.children:
            held, status = propstat.child("prop"), propstat.child("status")
            if propstat.name != "propstat" or held is None or _status(status.text if status else "") >= 300:
                continue
            for each in held.children:
                inside = list(each.walk())[1:]
                hrefs = tuple(below(one.text, above, own.netloc)[0] for one in inside if one.name == "href")
                comps = tuple(one.attributes.get("name", "").upper() for one in inside if one.name == "comp")
                properties[each.name] = Property(each.text.strip(), tuple(one.name for one in inside), hrefs, comps)
        path, host = below(href.text, above, own.netloc)
        found.append(Member(path, href.text.strip(), host, _status(line.text) if line is not None else 200, properties))
    return found


def below(href: str, above: str, own: str) -> tuple[str, str]:
    """The path that an href names, and its host when that is another one. Mail addresses stay as they are."""
    text = href.strip()
    if not text.startswith(("/", "http:", "https:")):
        return text, ""
    try:
        parts = urlsplit(text)
        elsewhere = (parts.hostname or "") if parts.netloc not in ("", own) else ""
    except ValueError:
        raise errors.ContractChangedError("the server names a resource by what is no address.") from None
    path = unquote(parts.path) or "/"
    return (f"//{elsewhere}{path}" if elsewhere else path.removeprefix(above) if above else path), elsewhere


def _status(line: str) -> int:
    words = line.split()
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else 200


def checked(path: str) -> str:
    """A path that can be asked for. Raises `PermissionDeniedError` for one on another host: credentials stay here."""
    if not path.startswith("//"):
        return path
    host = path[2:].partition("/")[0]
    named = host if re.fullmatch(r"[A-Za-z0-9.-]{1,253}", host) else "another host"
    raise errors.PermissionDeniedError(
        f"the server keeps these calendars on {named}; nothing was sent there.",
        next_step=f"Ask the person to connect the account again: clew auth set caldav --set server={named}",
    )
