"""What a description calls things, as names of ours. Nothing of a foreign name survives but letters and digits.

Tools are `verb_noun`, at most 40 characters; what would collide with Python, pydantic or our own parameters gets `_`.
"""

import builtins
import keyword
import re
from collections.abc import Collection, Sequence

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_LONGEST = 40
_FILLERS = frozenset(
    {"for", "the", "of", "a", "an", "by", "with", "in", "to", "from", "on", "and", "or", "using", "at"}
)
VERBS = frozenset(
    {
        "accept", "activate", "add", "approve", "archive", "assign", "attach", "authorize", "block", "bulk",
        "cancel", "capture", "check", "clear", "clone", "close", "confirm", "convert", "copy", "count", "create",
        "deactivate", "decline", "delete", "deploy", "destroy", "detach", "disable", "dismiss", "dispatch",
        "download", "edit", "enable", "erase", "execute", "export", "fetch", "finalize", "find", "follow", "fork",
        "generate", "get", "grant", "import", "index", "insert", "invite", "join", "leave", "link", "list", "lock",
        "mark", "merge", "move", "open", "patch", "pause", "pay", "pin", "ping", "post", "preview", "publish",
        "purge", "put", "query", "read", "refund", "register", "reject", "release", "remove", "rename", "render",
        "reopen", "reorder", "replace", "request", "rerun", "resend", "reset", "resolve", "restore", "resume",
        "retrieve", "retry", "revert", "review", "revoke", "run", "save", "search", "send", "set", "show", "sign",
        "skip", "star", "start", "stop", "submit", "subscribe", "suspend", "switch", "sync", "test", "toggle",
        "transfer", "transition", "trigger", "unarchive", "unassign", "unblock", "unfollow", "unlink", "unlock",
        "unpin", "unstar", "unsubscribe", "update", "upload", "upsert", "validate", "verify", "void", "watch",
        "wipe", "withdraw",
    }
)  # fmt: skip
DESTROYING = frozenset({"delete", "destroy", "erase", "purge", "remove", "wipe"})
_SYNONYMS = {"retrieve": "get", "read": "get", "show": "get", "fetch": "get", "index": "list", "insert": "create"}
_USED = frozenset({"str", "int", "float", "bool", "list", "dict", "map"})
_OWN = frozenset({"api", "cursor", "fields", "request_id", "flow", "self", "sent", *_USED})
"""Parameters of ours, and names that the written functions use."""
_MODEL = frozenset({"json", "copy", "schema", "construct", "validate", "fields", *_USED})
RESERVED = frozenset({*keyword.kwlist, *dir(builtins), "once", "schemes", "request_id", "api"})
"""What no tool may be called: a written module needs these names."""
_CLASSES = frozenset(
    {"Annotated", "Any", "Api", "ApiKey", "BaseModel", "Basic", "Bearer", "Connector", "CursorPages", "ErrorMap",
     "Field", "From", "LinkPages", "Literal", "NextUrlPages", "NotRequired", "NumberPages", "OAuth2", "Page",
     "Required", "Rule", "TypedDict", "Version", *dir(builtins), *keyword.kwlist}
)  # fmt: skip


def words(text: str) -> list[str]:
    """The words of a name in whatever spelling, in lower case."""
    return [each.lower() for each in _WORD.findall(text[:300])]


def snake(text: str, *, empty: str = "value") -> str:
    """An identifier of at most 40 characters."""
    found = "_".join(words(text))[:_LONGEST].strip("_") or empty
    return f"n_{found}"[:_LONGEST] if found[:1].isdigit() else found


def parameter_name(text: str, taken: Collection[str]) -> str:
    """A parameter's name: not a word of Python's or ours, nor one that is taken."""
    name = snake(text)
    if keyword.iskeyword(name) or name in _OWN or name.startswith("model_"):
        name += "_"
    return _free(name, taken)


def field_name(text: str, taken: Collection[str]) -> str:
    """The name of a model's field."""
    name = snake(text)
    if keyword.iskeyword(name) or name in _MODEL or name.startswith("model_"):
        name += "_"
    return _free(name, taken)


def is_field(name: str) -> bool:
    """Can a class have a field of this name, letter for letter?"""
    return (
        name.isidentifier() and name.isascii() and not name.startswith("__") and name not in {*keyword.kwlist, *_USED}
    )


def class_name(text: str) -> str:
    """The name of a class, in Pascal case."""
    name = "".join(each.capitalize() for each in words(text))[:_LONGEST] or "Item"
    name = f"N{name}" if name[0].isdigit() else name
    return f"{name}Item" if name in _CLASSES else name


def _free(name: str, taken: Collection[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name.rstrip('_')}_{number}" in taken:
        number += 1
    return f"{name.rstrip('_')}_{number}"


def field_path(name: str) -> str:
    """A key as a step of a field path; empty when no path can spell it."""
    if re.fullmatch(r"[A-Za-z0-9_$@-]+", name):
        return name
    return f"['{name}']" if name and name.isprintable() and "'" not in name else ""


def singular(word: str) -> str:
    """Good enough for English nouns of APIs."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 2 else word


def of_operation(method: str, path: str, operation_id: str, tag: str) -> str:
    """A tool's name from the operation's own."""
    head, slash, rest = operation_id.rpartition("/")
    parts = words(rest if slash else operation_id)
    subject = words(head) if slash else []
    position = next((at for at in (0, len(parts) - 1, 1, 2) if 0 <= at < len(parts) and parts[at] in VERBS), None)
    if position is None:
        return of_path(method, path) if not parts else fitted([_verb(method, path), *parts])
    verb = _SYNONYMS.get(parts[position], parts[position])
    nouns = parts[:position] + parts[position + 1 :]
    while nouns and nouns[0] == verb:
        nouns = nouns[1:]
    if slash and (not nouns or nouns[0] in _FILLERS - {"and", "or"}):
        many = verb in ("list", "search")
        nouns = [*subject[:-1], *(subject[-1:] if many else map(singular, subject[-1:])), *nouns]
    if not nouns:
        nouns = [singular(each) for each in words(tag)] or of_path(method, path).split("_")[1:]
    return fitted([verb, *nouns])


def of_path(method: str, path: str) -> str:
    """A tool's name from method and path: `POST /v1/invoices/{invoice}/finalize` is `finalize_invoice`."""
    segments = [each for each in path.split("/") if each]
    kept = [
        each for each in segments if each.startswith("{") or not re.fullmatch(r"v\d[\w.]*|api|rest|\d+", each.lower())
    ]
    literals = [words(each) for each in kept if not each.startswith("{") and words(each)]
    if not literals:
        return fitted([_verb(method, path), "root"])
    *outer, last = literals
    around = [singular(each) for part in outer for each in part]
    ends_in_value = kept[-1].startswith("{")
    after_value = len(kept) > 1 and kept[-2].startswith("{") and not ends_in_value
    if method == "POST" and not ends_in_value and (last[0] in VERBS and last[-1] == singular(last[-1])) and outer:
        return fitted([last[0], *around, *last[1:]] if after_value or around else [last[0], *last[1:]])
    verb = _verb(method, path)
    if verb == "list":
        return fitted([verb, *around, *last])
    return fitted([verb, *around, *last[:-1], singular(last[-1])])


def _verb(method: str, path: str) -> str:
    last = path.rstrip("/").rpartition("/")[2]
    ends_in_value = last.endswith("}")
    plural = bool(words(last)) and words(last)[-1] != singular(words(last)[-1])
    match method:
        case "GET" | "HEAD":
            return "list" if plural and not ends_in_value else "get"
        case "POST":
            return "update" if ends_in_value else "create"
        case "PUT":
            return "set"
        case "DELETE":
            return "delete"
        case _:
            return "update"


def fitted(parts: Sequence[str]) -> str:
    """The words as one name of at most 40 characters; fillers go first, then what stands in the middle."""
    kept = [each for each in parts if each]
    while len("_".join(kept)) > _LONGEST and any(each in _FILLERS for each in kept[1:]):
        del kept[next(at for at, each in enumerate(kept) if at and each in _FILLERS)]
    while len("_".join(kept)) > _LONGEST and len(kept) > 2:
        del kept[len(kept) // 2]
    return snake(" ".join(kept), empty="call")


def unique(name: str, hint: str, taken: Collection[str]) -> str:
    """The name, with a word of `hint` or a number when it is taken."""
    if name not in taken:
        return name
    verb, _, rest = name.partition("_")
    extra = [singular(each) for each in words(hint) if singular(each) not in rest.split("_")]
    longer = fitted([verb, *extra[:2], *rest.split("_")])
    if extra and longer not in taken:
        return longer
    number = 2
    while f"{name[: _LONGEST - 4]}_{number}" in taken:
        number += 1
    return f"{name[: _LONGEST - 4]}_{number}"


def sentence(text: object, most: int = 100) -> str:
    """The first sentence of a foreign text, as plain printable words; without what could end a docstring."""
    if not isinstance(text, str):
        return ""
    plain = re.sub(r"<[^<>]{0,200}>|!?\[([^\[\]]{0,200})\]\([^()]{0,500}\)", r"\1", text[:2000])
    plain = plain.split("\n\n")[0]
    plain = "".join(char if char.isprintable() else " " for char in plain)
    plain = " ".join(re.sub(r"[`*\\]", "", plain).replace('"', "'").split())
    first = re.split(r"(?<=[.!?])\s", plain, maxsplit=1)[0]
    return first if len(first) <= most else first[:most].rpartition(" ")[0] + " …"


def saying(*texts: object, least: int = 12) -> str:
    """What a tool does, in a sentence: the first of the texts that says enough, else the last, with more to it."""
    said = [found for each in texts if (found := sentence(each))]
    first = next((each for each in said if len(each) >= least - 1), f"{said[-1]} of this API")
    return first if first.endswith((".", "…", "?", "!")) else f"{first}."


def note(text: object, name: str) -> str:
    """What a parameter's description adds to its name, when that is short."""
    said = sentence(text, 200)
    said = re.sub(r"^(?:The|A|An) ", "", said).rstrip(".")
    known = {singular(each) for each in words(name)} | _FILLERS | {"id", "this", "that", "name"}
    news = [each for each in words(said) if singular(each) not in known]
    return said if news and len(said) <= 60 else ""
