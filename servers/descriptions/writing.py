"""Plans as a module that an author owns: readable, typed, as ruff formats it at 120 columns.

Whatever comes from the description goes through `repr` or was spelled anew by `names`; nothing is pasted.
"""

import builtins
import keyword
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from clew.core.connector import Effect
from clew.core.fields import as_object
from clew.core.outcomes import ErrorMap
from clew.core.pages import Paginator
from clew.core.secret import Secret
from clew.servers.descriptions.layout import fit
from clew.servers.descriptions.live import CURSOR_HELP
from clew.servers.descriptions.names import is_field, sentence
from clew.servers.descriptions.plans import Argument, Described, Offer, Plan
from clew.servers.descriptions.shapes import Field, Shape

_PUBLIC = frozenset(
    {"ApiKey", "Basic", "Bearer", "CursorPages", "ErrorMap", "LinkPages", "NextUrlPages", "NumberPages", "OAuth2",
     "Version"}
)  # fmt: skip
_SCHEMES = frozenset({"ClientCredentials", "Variable"})
_SHORT = 60
"""Characters of a choice that is written where it is used; a longer one has a name."""
_PLAIN = {
    "text": "str", "integer": "int", "number": "float", "boolean": "bool", "any": "Any",
    "value": "str | int | float | bool | dict[str, Any]",
}  # fmt: skip


def module_of(found: Described, offers: Sequence[Offer], *, source: str = "") -> str:
    """The source of a connector module with these tools."""
    return _Writer(found, offers, source).text()


class _Writer:
    def __init__(self, found: Described, offers: Sequence[Offer], source: str) -> None:
        self.found = found
        self.offers = offers
        self.source = source
        self.used: set[str] = {"Api", "Connector"}
        self.names: dict[str, str] = {}
        self.models: list[str] = []
        taken = {*(each.name for each in offers), *keyword.kwlist, *dir(builtins), "once", "schemes"}
        self.variable = f"{found.name}_connector" if found.name in taken else found.name
        self.paged = _most_common([each.plan.pages for each in offers if each.plan.pages is not None])

    def text(self) -> str:
        tools = [self._tool(each) for each in self.offers]
        facts = self._facts()
        body = [facts, *self.models, *tools]
        return "\n\n\n".join([f"{self._head()}\n\n{self._imports()}\n\n{body[0]}", *body[1:]]) + "\n"

    def _head(self) -> str:
        origin = f"\n\nMade from {sentence(self.source, 100)}; it is yours now." if self.source else "\n"
        more = "Results show a selection of fields, arguments one of options: add what you need."
        return f'"""{_plain(self.found.title.rstrip("."))}.{_plain(origin)}\n{more}\n"""'

    def _imports(self) -> str:
        typing = sorted(self.used & {"Annotated", "Any", "Literal", "NotRequired"})
        pydantic = sorted(self.used & {"BaseModel", "Field"})
        extensions = sorted(self.used & {"TypedDict"})
        ours = sorted(self.used - {*typing, *pydantic, *extensions}, key=lambda name: (name.islower(), name))
        line = f"from clew import {', '.join(ours)}"
        if len(line) > 120:
            line = "from clew import (\n" + "".join(f"    {name},\n" for name in ours) + ")"
        others = [line, *_imported("pydantic", pydantic), *_imported("typing_extensions", extensions)]
        return "\n\n".join("\n".join(group) for group in (_imported("typing", typing), others) if group)

    def _facts(self) -> str:
        found = self.found
        values = [_text(found.name)]
        values += [f"title={_text(found.title)}", f"base_url={_text(found.base_url)}"]
        if found.schemes:
            schemes = [self._declared(each) for each in found.schemes]
            values.append(f"auth={schemes[0]}" if len(schemes) == 1 else f"auth=({', '.join(schemes)})")
        if found.version:
            values.append(f"version={self._declared(found.version)}")
        if self.paged is not None:
            values.append(f"pages={self._declared(self.paged)}")
        if found.errors != ErrorMap():
            values.append(f"errors={self._declared(found.errors)}")
        if found.docs:
            values.append(f"docs={_text(found.docs)}")
        call = [line for each in values for line in fit(f"{each},", 4).split("\n")]
        return "\n".join([f"{self.variable} = Connector(", *(f"    {line}" for line in call), ")"])

    def _declared(self, value: Any) -> str:
        """A declaration as its author would write it: only what differs from the defaults."""
        table = as_object(value)
        if table is not None:
            return _braced(f"{_text(key)}: {self._declared(each)}" for key, each in table.items())
        if isinstance(value, tuple):
            several: tuple[Any, ...] = value  # pyright: ignore[reportUnknownVariableType]
            inner = ", ".join(self._declared(each) for each in several)
            return f"({inner},)" if len(several) == 1 else f"({inner})"
        if not is_dataclass(value) or isinstance(value, type | Secret):
            return _text(value) if isinstance(value, str) else repr(value)
        plain = type(value)() if not _needs_arguments(type(value)) else None
        parts: list[str] = []
        for each in fields(value):
            found = getattr(value, each.name)
            if each.init and (plain is None or found != getattr(plain, each.name)) and not _is_default(each, found):
                parts.append(f"{each.name}={self._declared(found)}")
        return f"{self._used(type(value).__name__)}({', '.join(parts)})"

    def _used(self, name: str) -> str:
        if name == "ProviderKey":
            self.used.add("once")
            return f"once.{name}"
        if name in _SCHEMES:
            self.used.add("schemes")
            return f"schemes.{name}"
        self.used.add(name)
        return name

    def _tool(self, offer: Offer) -> str:
        plan = offer.plan
        options: list[str] = []
        if offer.preview:
            options.append(f"preview={offer.preview}")
        if offer.toolset:
            options.append(f"toolset={_text(offer.toolset)}")
        if plan.scopes:
            options.append(f"scopes={self._declared(plan.scopes)}")
        if plan.once is not None and offer.effect is Effect.WRITE:
            options.append(f"once={self._declared(plan.once)}")
        door = f"@{self.variable}.{offer.effect.value}"
        decorator = fit(f"{door}({', '.join(options)})", 0) if options else door
        parameters = ["api: Api", *(self._parameter(each) for each in plan.arguments)]
        if plan.pages is not None:
            help = self._call("Field", f"description={_text(CURSOR_HELP)}")
            parameters.append(f"cursor: {self._annotated('str | None', help)} = None")
        result = self._result(plan)
        header = fit(f"async def {offer.name}({', '.join(parameters)}) -> {result}:", 0, first=True)
        body = [f'"""{_plain(offer.doc)}"""', *(fit(line, 4) for line in self._body(plan))]
        return "\n".join([decorator, header, *(f"    {line}" for part in body for line in part.split("\n"))])

    def _result(self, plan: Plan) -> str:
        if plan.result is None:
            return "None"
        shown = self._type(plan.result)
        if plan.pages is not None:
            self.used.add("Page")
            return f"Page[{shown}]"
        return shown

    def _parameter(self, argument: Argument) -> str:
        kind = self._type(argument.shape)
        kind = kind if argument.required else kind if kind == "Any" else f"{kind} | None"
        if argument.help:
            kind = self._annotated(kind, self._call("Field", f"description={_text(argument.help)}"))
        return f"{argument.name}: {kind}" if argument.required else f"{argument.name}: {kind} = None"

    def _annotated(self, kind: str, mark: str) -> str:
        self.used.add("Annotated")
        return f"Annotated[{kind}, {mark}]"

    def _call(self, name: str, inner: str) -> str:
        self.used.add(name)
        return f"{name}({inner})"

    def _body(self, plan: Plan) -> Iterator[str]:
        given = [_text(plan.path), *(each.name for each in plan.of("path"))]
        query = [f"{_text(each.wire)}: {_query(each)}" for each in plan.of("query")]
        headers = [f"{_text(each.wire)}: {each.name}" for each in plan.of("header")]
        later: list[str] = []
        if query:
            later.append(f"query={_braced(query)}")
        if headers:
            later.append(f"headers={_braced(headers)}")
        if plan.pages is not None:
            assert plan.result is not None
            own = [] if plan.pages == self.paged else [f"pages={self._declared(plan.pages)}"]
            arguments = [*given, f"into={self._type(plan.result)}", "cursor=cursor", *own, *later]
            yield f"return await api.page({', '.join(arguments)})"
            return
        if plan.method not in ("GET", "DELETE"):
            yield from self._sent(plan, later)
        call = f"await api.{plan.method.lower()}"
        if plan.result is None or plan.method == "DELETE":
            yield f"{call}({', '.join([*given, *later])})"
            return
        kind = self._type(plan.result)
        into = [] if kind == "Any" else [f"into={kind}"]
        at = [f"at={_text(plan.at)}"] if plan.at else []
        yield f"return {call}({', '.join([*given, *later, *into, *at])})"

    def _sent(self, plan: Plan, later: list[str]) -> Iterator[str]:
        """The lines before the request that put its body together."""
        key = "form" if plan.form else "json"
        whole, parts = plan.of("whole"), plan.of("body")
        if whole:
            later.append(f"{key}={whole[0].name}")
        elif parts:
            entries = [f"{_text(each.wire)}: {each.name}" for each in parts]
            if all(each.required for each in parts) or plan.form:
                later.append(f"{key}={_braced(entries)}")
                return
            self.used.add("Any")
            yield f"sent: dict[str, Any] = {_braced(entries)}"
            later.append(f"{key}={{name: value for name, value in sent.items() if value is not None}}")

    def _type(self, shape: Shape) -> str:
        if shape.kind in _PLAIN:
            self.used |= {"Any"} if "Any" in _PLAIN[shape.kind] else set()
            return _PLAIN[shape.kind]
        if shape.kind == "choice":
            self.used.add("Literal")
            kind = f"Literal[{', '.join(map(_text, shape.values))}]"
            return kind if len(kind) <= _SHORT else self._once(shape, lambda name: fit(f"{name} = {kind}", 0))
        if shape.kind == "list":
            return f"list[{self._type(shape.item) if shape.item else self._type(Shape('any'))}]"
        if shape.kind == "map":
            self.used.add("Any")
            return "dict[str, Any]"
        return self._class(shape)

    def _class(self, shape: Shape) -> str:
        """The name of an object's class, which is written once for each set of fields."""
        if shape.kind == "typed":
            entries = [(each.path, self._entry(each)) for each in shape.fields]
            self.used.add("TypedDict")
            if all(is_field(name) for name, _ in entries):
                lines = [f"    {line}" for name, kind in entries for line in fit(f"{name}: {kind}", 4).split("\n")]
                return self._once(shape, lambda name: "\n".join([f"class {name}(TypedDict):", *lines]))
            inner = _braced(f"{_text(name)}: {kind}" for name, kind in entries)
            return self._once(shape, lambda name: fit(f'{name} = TypedDict("{name}", {inner})', 0))
        lines = [f"    {line}" for each in shape.fields for line in fit(self._field(each), 4).split("\n")]
        self.used.add("BaseModel")
        return self._once(shape, lambda name: "\n".join([f"class {name}(BaseModel):", *lines]))

    def _once(self, shape: Shape, write: Callable[[str], str]) -> str:
        body = write("_")
        if body in self.names:
            return self.names[body]
        taken, name, number = set(self.names.values()), shape.name, 2
        while name in taken:
            name, number = f"{shape.name}{number}", number + 1
        self.names[body] = name
        self.models.append(write(name))
        return name

    def _entry(self, field: Field) -> str:
        kind = self._type(field.shape)
        if field.required:
            return kind
        self.used.add("NotRequired")
        return f"NotRequired[{kind}]"

    def _field(self, field: Field) -> str:
        optional = field.shape.nullable or not field.required
        kind = self._type(field.shape)
        kind = f"{kind} | None" if optional and kind != "Any" else kind
        if field.path != field.name:
            kind = self._annotated(kind, self._call("From", _text(field.path)))
        return f"{field.name}: {kind}" + (" = None" if optional else "")


def _imported(module: str, names: Sequence[str]) -> list[str]:
    return [f"from {module} import {', '.join(names)}"] if names else []


def _most_common(pages: Sequence[Paginator]) -> Paginator | None:
    return max(pages, key=pages.count) if pages else None


def _needs_arguments(kind: type[Any]) -> bool:
    try:
        kind()
    except Exception:  # what it wants does not matter
        return True
    return False


def _is_default(field: Any, value: Any) -> bool:
    made = field.default if field.default_factory is MISSING else field.default_factory()
    return bool(value == made)


def _query(argument: Argument) -> str:
    if not argument.joined:
        return argument.name
    joined = f'",".join(map(str, {argument.name}))'
    return joined if argument.required else f"{joined} if {argument.name} is not None else None"


def _braced(entries: Iterable[str]) -> str:
    return f"{{{', '.join(entries)}}}"


def _text(text: str) -> str:
    """A string literal as ruff writes it: double quotes, ASCII escapes for what is not printable."""
    if '"' not in text and "\\" not in text and text.isprintable():
        return f'"{text}"'
    return repr(text)


def _plain(text: str) -> str:
    """What may stand in a docstring."""
    return text.replace("\\", "").replace('"', "'")
