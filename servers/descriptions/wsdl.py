"""WSDL: the operations of a SOAP service as tools. zeep reads the document and writes requests; the rest is ours.

zeep loads nothing by itself: every document it wants comes through `_Loader`, which knows one place (a folder, or an
origin) and hands out what our own bounded parser has read first: no document types, no entities. It never sees an
answer either: those are read by `envelopes`, along the types that stand in the WSDL.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from clew.auth.wsse import UsernameToken
from clew.connectors import soap as facts
from clew.core.connector import Effect
from clew.core.credentials import Scheme
from clew.core.errors import ConfigurationError, InvalidInputError, quote
from clew.core.markup import Element, MarkupError, parse
from clew.servers.descriptions import names, security
from clew.servers.descriptions.documents import UnsupportedError
from clew.servers.descriptions.plans import Argument, Described, Envelope, Offer, Plan
from clew.servers.descriptions.sources import Source, check_address, content_of, is_private
from clew.servers.descriptions.xsd import NAME, Types, body_of

OPTIONS = ("name", "auth", "base_url", "port", "reads")
_DOCUMENTS, _OPERATIONS = 60, 2000
_SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
_TOKENS = frozenset({"UsernameToken", "X509Token", "SamlToken", "KerberosToken", "IssuedToken"})
_KINDS = frozenset({"HashPassword", "NoPassword", "IncludeTimestamp"})
"""What a policy of WS-SecurityPolicy wants in a message's header, and how (memory)."""
_POLICIES = "securitypolicy"
_FAULTS = (ValueError, TypeError, LookupError, AttributeError)
"""What zeep raises besides its own, for documents and values that it did not expect."""
_READING = frozenset({"get", "list", "search", "find", "read", "query", "fetch", "retrieve", "describe", "count"})


def described_wsdl(source: Source) -> Described:
    """What a WSDL offers. Raises `ConfigurationError`."""
    wsdl = _Wsdl(source)
    schemes = _schemes(source, wsdl.loader.tokens)
    port = wsdl.port(source.options.get("port", ""))
    address = _address(port, source)
    parts = urlsplit(address)
    offers, left_out = wsdl.offers(port, parts.path or "/", dict(parse_qsl(parts.query)))
    return Described(
        name=source.options.get("name") or names.snake(str(wsdl.service), empty="soap"),
        title=names.sentence(str(wsdl.service), 80),
        base_url=f"{parts.scheme}://{parts.netloc}",
        schemes=schemes,
        errors=facts.ERRORS,
        offers=offers,
        left_out=left_out,
    )


def _schemes(source: Source, wanted: Collection[str]) -> tuple[Scheme, ...]:
    """How to log in: as the operator says, else as the policy in the WSDL wants it."""
    said = source.options.get("auth", "")
    kind, _, how = said.partition(":")
    if kind == "wsse" and how in ("", "text", "digest"):
        return (_token(digest=how == "digest" or (not how and "HashPassword" in wanted), wanted=wanted),)
    if said:
        return security.of_option(said, "wsse, wsse:digest")
    tokens = _TOKENS.intersection(wanted)
    if not tokens:
        return ()
    if not tokens - {"UsernameToken"} and "NoPassword" not in wanted:
        return (_token(digest="HashPassword" in wanted, wanted=wanted),)
    raise ConfigurationError(
        f"{quote(source.place, 200)} asks for WS-Security ({', '.join(sorted(tokens))}), of which only a UsernameToken "
        "with a password is supported. If it takes such a login as well, say which: #auth=wsse, wsse:digest, basic, "
        "bearer, api_key:HEADER or none."
    )


def _token(*, digest: bool, wanted: Collection[str]) -> UsernameToken:
    sent = "a hash of the password" if digest else "the password"
    said = f"user name and password of the service, by WS-Security: each message holds {sent}"
    return UsernameToken(digest, "IncludeTimestamp" in wanted, help=said)


def _address(port: Any, source: Source) -> str:
    """Where the service is. What an operator names is used as it is; a WSDL from the network leads into no network."""
    chosen = source.options.get("base_url", "")
    address = chosen or str(port.binding_options.get("address", ""))
    check_address(address, "a SOAP service (another address goes behind #base_url=)")
    host = urlsplit(address).hostname or ""
    if not chosen and source.is_remote and is_private(host) and host != source.host:
        raise ConfigurationError(f"{quote(address, 100)} is inside this network, and the WSDL is not.")
    if "{" in address or "}" in address:
        raise ConfigurationError("the service's address holds braces.")
    return address


@dataclass
class _Loader:
    """zeep's transport: documents of one folder or origin, read within bounds, and checked before zeep sees them."""

    source: Source
    notes: dict[str, str] = field(default_factory=dict[str, str])
    choices: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict[tuple[str, str], tuple[str, ...]])
    encoded: set[str] = field(default_factory=set[str])
    tokens: set[str] = field(default_factory=set[str])
    count: int = 0

    def load(self, url: Any) -> bytes:
        """A document of the WSDL. Raises `ConfigurationError`."""
        self.count += 1
        if self.count > _DOCUMENTS:
            raise ConfigurationError(f"the WSDL imports more than {_DOCUMENTS} documents.")
        content = content_of(Source(self._inside(str(url))))
        try:
            self._note(parse(content))
        except MarkupError as error:
            raise ConfigurationError(f"{quote(str(url), 200)} is no XML that we read: {error}.") from None
        return content

    def _inside(self, url: str) -> str:
        own = self.source.place
        if self.source.is_remote:
            target = urljoin(own, url)
            same = urlsplit(target)[:2] == urlsplit(own)[:2]
            if same:
                return target
        elif "://" not in url:
            folder = Path(own).expanduser().resolve().parent
            path = (folder / url).resolve()
            if path.is_relative_to(folder):
                return str(path)
        raise ConfigurationError(
            f"the WSDL imports {quote(url, 200)}, which is somewhere else: save all of it into one folder first."
        )

    def _note(self, root: Element) -> None:
        """What zeep does not keep: the words about operations, the values of enumerations, the tokens of policies."""
        space = root.attributes.get("targetNamespace", "")
        for element in root.walk():
            if element.name == "schema":
                space = element.attributes.get("targetNamespace", "")
            if element.name in _TOKENS or (element.name in _KINDS and _POLICIES in element.space):
                self.tokens.add(element.name)
            if element.name == "operation":
                said = element.child("documentation")
                if said is not None:
                    self.notes.setdefault(element.attributes.get("name", ""), said.words())
                if any(each.name == "body" and each.attributes.get("use") == "encoded" for each in element.walk()):
                    self.encoded.add(element.attributes.get("name", ""))
            if element.name == "simpleType" and element.attributes.get("name"):
                listed = [each.attributes.get("value", "") for each in element.walk() if each.name == "enumeration"]
                if 0 < len(listed) <= 20 and all(0 < len(each) <= 60 for each in listed):
                    self.choices[space, element.attributes["name"]] = tuple(dict.fromkeys(listed))

    # What zeep asks of a transport besides.

    def post(self, *_: Any) -> Any:
        """Requests are ours to send."""
        raise ConfigurationError("zeep sends nothing here.")


class _Wsdl:
    def __init__(self, source: Source) -> None:
        try:
            zeep: Any = import_module("zeep")
            markup: Any = import_module("lxml.etree")
        except ImportError:
            raise ConfigurationError("reading a WSDL needs zeep: pip install 'clew[soap]'") from None
        self.loader = _Loader(source)
        place = source.place if source.is_remote else str(Path(source.place).expanduser().resolve())
        settings = zeep.Settings(forbid_dtd=True, forbid_entities=True, xml_huge_tree=False)
        faults = (zeep.exceptions.Error, markup.LxmlError, RecursionError, *_FAULTS)
        try:
            self.document = zeep.wsdl.Document(place, self.loader, settings=settings)
        except ConfigurationError:
            raise
        except faults as error:
            why = names.sentence(str(error), 150)
            raise ConfigurationError(f"{quote(source.place, 200)} is no WSDL that we read: {why}") from None
        self.service = ""
        self.types = Types(self.loader.choices)
        self.reads = frozenset(filter(None, source.options.get("reads", "").split(",")))

    def port(self, wanted: str) -> Any:
        """The port to use: the one that is named, else the first that speaks SOAP."""
        bindings: Any = import_module("zeep.wsdl.bindings.soap")
        known: list[str] = []
        for service in self.document.services.values():
            for name, port in service.ports.items():
                if not isinstance(port.binding, bindings.SoapBinding):
                    continue
                known.append(str(name))
                if wanted in ("", name):
                    self.service = str(service.name)
                    return port
        said = f"has no SOAP port {quote(wanted, 60)}; there are {', '.join(known)}" if known else "has no SOAP port"
        raise ConfigurationError(f"the WSDL {said}.")

    def offers(self, port: Any, path: str, fixed: Mapping[str, str]) -> tuple[dict[str, Offer], dict[str, str]]:
        """The operations of a port: first those that read, for they show what others hit."""
        found: dict[str, Offer] = {}
        left_out: dict[str, str] = {}
        operations = [each for each in port.binding.all().values() if NAME.fullmatch(str(each.name))][:_OPERATIONS]
        for operation in sorted(operations, key=lambda each: not self._reads(str(each.name))):
            try:
                self._offer(operation, port.binding, path, fixed, found)
            except UnsupportedError as error:
                left_out[str(operation.name)] = str(error)
        return found, left_out

    def _reads(self, wire: str) -> bool:
        return wire in self.reads or bool(_READING.intersection(names.words(wire)[:1]))

    def _offer(
        self, operation: Any, binding: Any, path: str, fixed: Mapping[str, str], found: dict[str, Offer]
    ) -> None:
        wire = str(operation.name)
        plan = self._plan(operation, binding, path, fixed)
        effect, preview = Effect.READ if self._reads(wire) else Effect.WRITE, ""
        if effect is Effect.WRITE and set(names.words(wire)) & names.DESTROYING:
            effect, preview = Effect.DESTRUCTIVE, _shows(wire, plan, found)
            if not preview:
                raise UnsupportedError("no operation with the same arguments shows what it would hit")
        name = names.unique(_tool_name(wire), "soap", {*found, *names.RESERVED})
        found[name] = Offer(
            name=name,
            operation=wire,
            method="SOAP",
            path=wire,
            effect=effect,
            doc=names.saying(self.loader.notes.get(wire), f"Call {wire} of {self.service}"),
            toolset="",
            plan=plan,
            preview=preview,
        )

    def _plan(self, operation: Any, binding: Any, path: str, fixed: Mapping[str, str]) -> Plan:
        if str(operation.name) in self.loader.encoded:
            raise UnsupportedError("its messages are encoded (rpc/encoded), which no type says")
        action = str(operation.soapaction or "")
        if not action.isascii() or not action.isprintable() or '"' in action:
            raise UnsupportedError("its SOAPAction is no header")
        arguments: list[Argument] = []
        taken: set[str] = set()
        for each in self.types.sent_fields(body_of(operation.input), 0):
            own = names.parameter_name(each.path, taken)
            taken.add(own)
            arguments.append(Argument(own, each.path, "body", each.shape, each.required))
        result, part = self.types.result(operation)
        newer = _SOAP_12 in binding.nsmap.values()
        kind = f'application/soap+xml; charset=utf-8; action="{action}"' if newer else "text/xml; charset=utf-8"
        return Plan(
            method="SOAP",
            path=path,
            arguments=tuple(sorted(arguments, key=lambda each: not each.required)),
            result=result,
            fixed=fixed,
            envelope=Envelope(_Writer(operation), kind, "" if newer else f'"{action}"', part),
        )


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the request of one operation."""

    operation: Any

    def __call__(self, arguments: Mapping[str, Any]) -> bytes:
        """The envelope. Raises `InvalidInputError` for what the WSDL does not allow."""
        markup: Any = import_module("lxml.etree")
        zeep: Any = import_module("zeep")
        try:
            found = self.operation.create(**arguments).content
            content: bytes = markup.tostring(found, xml_declaration=True, encoding="utf-8")
        except (zeep.exceptions.Error, *_FAULTS) as error:
            raise InvalidInputError(
                f"the WSDL does not allow these arguments: {names.sentence(str(error), 200)}",
                next_step="Give the arguments as the tool describes them.",
            ) from None
        return content


def _tool_name(wire: str) -> str:
    words = names.words(wire)
    position = next((at for at in (0, len(words) - 1) if words[at] in names.VERBS), None)
    if position is None:
        return names.fitted(["run", *words])
    return names.fitted([words[position], *words[:position], *words[position + 1 :]])


def _shows(wire: str, plan: Plan, found: Mapping[str, Offer]) -> str:
    """The read of the same noun with the same arguments."""
    nouns = [each for each in names.words(wire) if each not in names.DESTROYING]
    needs = {(each.wire, each.required) for each in plan.arguments}
    for offer in found.values():
        same = [each for each in names.words(offer.operation) if each not in _READING] == nouns
        if (
            offer.effect is Effect.READ
            and same
            and {(each.wire, each.required) for each in offer.plan.arguments} == needs
        ):
            return offer.name
    return ""
