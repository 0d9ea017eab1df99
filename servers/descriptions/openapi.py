"""OpenAPI 3.0, 3.1 and Swagger 2: every operation that can be a tool as an offer, and why the others cannot."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clew.core.connector import Effect
from clew.core.credentials import Scheme
from clew.core.errors import ConfigurationError
from clew.core.fields import as_object
from clew.servers.descriptions import names, security
from clew.servers.descriptions.addresses import base_url_of
from clew.servers.descriptions.documents import Document, Node, UnsupportedError, texts
from clew.servers.descriptions.hints import errors_of, version_of
from clew.servers.descriptions.operations import Entry, parameters_of, planned
from clew.servers.descriptions.plans import Described, Offer, Plan
from clew.servers.descriptions.shapes import Shapes
from clew.servers.descriptions.sources import Source

OPTIONS = ("name", "auth", "base_url")
_METHODS = ("get", "post", "put", "patch", "delete")
_MOST = 5000
"""Operations that are read; what is beyond is left out. The largest description that we know has 2300."""
_SEGMENT = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@%]*")
_HOLE = re.compile(r"\{([^{}/]{1,100})\}")
_DULL = re.compile(
    r"\b(?:the|rest|api|apis|openapi|swagger|official|extension|public|cloud|platform|of|for|spec\w*|documentation|v?[\d.]+)\b"
)


def described(
    root: Node, source: Source, *, name: str = "", anywhere: bool = False, effects: Mapping[str, Effect] | None = None
) -> Described:
    """What an OpenAPI document says. `name` is the connector's, else it is made of the title. `effects` are by tool
    name or operation id and win over the methods'. Raises `ConfigurationError` for what is no such document."""
    if not isinstance(root.get("paths"), dict) or not (root.get("openapi") or root.get("swagger")):
        raise ConfigurationError(f"{source.place} is no OpenAPI or Swagger description: it has no paths.")
    document = Document(root)
    info = as_object(root.get("info")) or {}
    title = names.sentence(info.get("title"), 60) or "API"
    base_url, variables, notes = base_url_of(document, source)
    if "auth" in source.options:
        schemes: dict[str, Scheme] = dict(enumerate_schemes(security.of_option(source.options["auth"])))
    else:
        schemes, said = security.declared(document, base_url, variables, anywhere=anywhere)
        notes = [*notes, *said]
    shapes = Shapes(document)
    version, fixed = version_of(document)
    found, left_out = _offers(shapes, schemes, effects or {}, fixed)
    unique = list(dict.fromkeys(map(_Same, schemes.values())))
    docs = (as_object(root.get("externalDocs")) or {}).get("url")
    return Described(
        name=name or connector_name(title),
        title=title,
        base_url=base_url,
        schemes=tuple(each.scheme for each in unique),
        version=version,
        errors=errors_of(shapes),
        docs=docs if isinstance(docs, str) and re.fullmatch(r"https://[\w./~%?=&-]{1,300}", docs) else "",
        offers=found,
        left_out=left_out,
        notes=tuple(notes),
    )


class _Same:
    """Schemes that are declared twice are one; they hold mappings, which have no hash."""

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.scheme.kind == other.scheme.kind

    def __hash__(self) -> int:
        return hash(self.scheme.kind)


def enumerate_schemes(schemes: Sequence[Scheme]) -> Iterator[tuple[str, Scheme]]:
    """Schemes with names."""
    for scheme in schemes:
        yield scheme.kind, scheme


def connector_name(title: str) -> str:
    """A title as a connector's name: `GitHub v3 REST API` is `github`."""
    head = re.split(r" [+\u2013-] |[:(|]", title.lower())[0]
    plain = re.sub(r"[^a-z0-9. ]", " ", re.sub(r"['\u2019]s\b", "", head))
    words = _DULL.sub(" ", plain).split() or plain.split()
    return names.snake("_".join(words[:2]), empty="api")


def _operations(document: Document) -> Iterator[tuple[str, str, Node, Node]]:
    """Method, path, operation, and the path's own node."""
    paths = as_object(document.root.get("paths")) or {}
    count = 0
    for path, raw in paths.items():
        try:
            item = document.follow(raw)
        except UnsupportedError:
            continue
        for method in _METHODS:
            operation = as_object(item.get(method))
            if operation is not None:
                count += 1
                if count > _MOST:
                    return
                yield method.upper(), path, operation, item


def _offers(
    shapes: Shapes, schemes: Mapping[str, Scheme], effects: Mapping[str, Effect], fixed: frozenset[str]
) -> tuple[dict[str, Offer], dict[str, str]]:
    left_out: dict[str, str] = {}
    entries: list[Entry] = []
    taken: set[str] = set(names.RESERVED)
    everything = list(_operations(shapes.document))
    by_path = _named_by_method([(method, operation.get("operationId")) for method, _, operation, _ in everything])
    for method, path, operation, item in everything:
        name, tag = _name(method, path, operation, by_path=by_path, taken=taken)
        effect = effects.get(name) or effects.get(str(operation.get("operationId"))) or _effect(method, name)
        if effect is Effect.READ and method not in ("GET", "POST"):
            raise ConfigurationError(f"{name} is a {method}: it cannot be a read.")
        entry = Entry(name, method, path, operation, item.get("parameters"), tag, effect)
        why = _unfit(path, operation)
        if why:
            left_out[entry.label] = why
        else:
            taken.add(entry.name)
            entries.append(entry)
    reads = {each.path: each for each in entries if each.method == "GET" and each.effect is Effect.READ}
    shown = {each.name: _shows(shapes, each, reads) for each in entries if each.effect is Effect.DESTRUCTIVE}
    previews = {each.name for each in shown.values() if each is not None}
    bare = {*(name for name, each in shown.items() if each), *previews}
    plans: dict[str, Plan] = {}
    for entry in entries:
        scopes = security.scopes_of(entry.operation, shapes.document.root, schemes)
        try:
            plans[entry.name] = planned(shapes, entry, bare=entry.name in bare, fixed=fixed, scopes=scopes)
        except UnsupportedError as error:
            left_out[entry.label] = str(error)
    offers: dict[str, Offer] = {}
    for entry in entries:
        preview = shown.get(entry.name)
        if entry.effect is Effect.DESTRUCTIVE and (preview is None or preview.name not in plans):
            left_out[entry.label] = "no read operation shows what it would hit"
        elif entry.name in plans:
            offers[entry.name] = Offer(
                name=entry.name,
                operation=entry.operation_id,
                method=entry.method,
                path=entry.path,
                effect=entry.effect,
                doc=_doc(entry),
                toolset=names.snake(entry.tag, empty="") if entry.tag else "",
                plan=plans[entry.name],
                preview=preview.name if preview else "",
            )
    return offers, left_out


def _name(method: str, path: str, operation: Node, *, by_path: bool, taken: set[str]) -> tuple[str, str]:
    """The operation's name as a tool, and its first tag."""
    operation_id = operation.get("operationId")
    tag = next(iter(texts(operation.get("tags"))), "")
    named = isinstance(operation_id, str) and names.words(operation_id) and not by_path
    plain = names.of_operation(method, path, str(operation_id), tag) if named else names.of_path(method, path)
    return names.unique(plain, tag or path, taken), tag


def _named_by_method(operations: Sequence[tuple[str, Any]]) -> bool:
    """Are the operations called `PostCustomers`? Then the paths say more."""
    posts = [str(name) for method, name in operations if method == "POST" and name]
    return bool(posts) and sum(each.lower().startswith("post") for each in posts) * 2 > len(posts)


def _effect(method: str, name: str) -> Effect:
    """The method's effect, but whatever is called a deletion is one, by GET or POST too."""
    if method == "DELETE" or name.partition("_")[0] in names.DESTROYING:
        return Effect.DESTRUCTIVE
    return Effect.READ if method == "GET" else Effect.WRITE


def _unfit(path: str, operation: Node) -> str:
    """Why an operation cannot be a tool, as far as its path and its marks tell."""
    if operation.get("deprecated") is True:
        return "it is deprecated"
    if not path.startswith("/") or path.startswith("//"):
        return "its path does not begin with one slash"
    segments = _HOLE.sub("x", path)[1:].split("/")
    if any(not _SEGMENT.fullmatch(each) or each in (".", "..") or "%2e" in each.lower() for each in segments):
        return "its path is no plain path"
    return ""


def _shows(shapes: Shapes, entry: Entry, reads: Mapping[str, Entry]) -> Entry | None:
    """The read operation that shows what a destructive one would hit: that of its path, or of the nearest one above
    with the same parameters in it. Neither may need anything else."""
    if _needs_more(shapes, entry):
        return None
    holes, path = _HOLE.findall(entry.path), entry.path
    while path:
        found = reads.get(path)
        if found is not None and _HOLE.findall(path) == holes and not _needs_more(shapes, found):
            return found
        path = path.rpartition("/")[0]
    return None


def _needs_more(shapes: Shapes, entry: Entry) -> bool:
    """Does it need arguments outside its path?"""
    try:
        parameters = list(parameters_of(shapes, entry.operation, entry.shared))
        body = shapes.document.follow(entry.operation.get("requestBody"))
    except UnsupportedError:
        return True
    needs_body = entry.method != "GET" and body.get("required") is True
    return needs_body or any(each.get("required") is True and each.get("in") != "path" for each in parameters)


def _doc(entry: Entry) -> str:
    operation = entry.operation
    return names.saying(
        operation.get("summary"), operation.get("description"), entry.name.replace("_", " ").capitalize()
    )
