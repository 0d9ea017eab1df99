"""How pages are made. Every value is text until the template engine has escaped it; what could mislead is made
visible."""

import json
import time
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from clew import __version__
from clew.core.fields import as_list, as_object
from clew.core.redaction import is_secret, redact
from clew.servers.cli.moments import clock
from clew.servers.cli.output import duration
from clew.servers.console_address import BASE

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

HERE = Path(__file__).parent
_LONGEST = 6000
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
SECTIONS = (
    ("approvals", "Approvals"), ("connections", "Connections"), ("limits", "Limits"), ("events", "Events"),
    ("writes", "Writes"), ("audit", "Audit"), ("stats", "Stats"),
)  # fmt: skip


def page(request: Request, template: str, *, status: int = 200, **facts: Any) -> Response:
    """A page of the console for whoever is at it."""
    desk, visitor = request.state.desk, request.state.visitor
    operator = visitor is not None and desk.is_operator(visitor)
    common = {
        "base": BASE,
        "visitor": visitor,
        "operator": operator,
        "sections": SECTIONS if operator else SECTIONS[:1],
        "here": request.url.path.removeprefix(BASE).strip("/").partition("/")[0],
        "issuer": desk.rules.issuer,
        "version": __version__,
    }
    return Response(render(template, **common, **facts), status, media_type="text/html")


def render(template: str, *, base: str, **facts: Any) -> str:
    """A page as text; `base` is where its style is."""
    whole: dict[str, Any] = {"base": base, "visitor": None, **facts}
    return _engine().get_template(template).render(whole)


def welcome(request: Request, *, problem: str = "", status: int = 401) -> Response:
    """The page for somebody who is not logged in."""
    back = request.url.path if request.method == "GET" else f"{BASE}/"
    return page(request, "welcome.html", status=status, problem=problem, back=back)


def trouble(request: Request, message: str, status: int, *, next_step: str = "") -> Response:
    """The page that says what is wrong."""
    return page(request, "trouble.html", status=status, message=message, next_step=next_step)


@lru_cache(maxsize=1)
def _engine() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    engine = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = engine.filters
    filters.update(
        plain=plain, value=value, clock=clock, span=duration, ago=ago, left=left, words=words, briefly=briefly
    )
    return engine


def briefly(arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The arguments of a call that tell it from another and may stand in a list: as the audit would show them."""
    kept = redact(arguments, {}).items()
    return [(name, str(each)) for name, each in kept if isinstance(each, str | int) and not str(each).startswith("[")][
        :3
    ]


def words(name: object) -> str:
    """`not_applied` as people write it."""
    return str(name).replace("_", " ")


def ago(moment: float) -> str:
    """How long ago it was."""
    passed = time.time() - moment
    return "just now" if passed < 5 else f"{duration(passed)} ago"


def left(moment: float) -> str:
    """How much time there is until then."""
    return duration(moment - time.time())


def value(name: str, found: Any) -> "Markup":
    """A value of a call as a person may see it: whole, but for what its name says is secret."""
    if is_secret(str(name)) and found not in (None, ""):
        from markupsafe import Markup

        return Markup('<span class="soft">hidden: its name says it is secret</span>')
    return plain(found if isinstance(found, str) else json.dumps(_shown(found), ensure_ascii=False, indent=2))


def _shown(found: Any) -> Any:
    """The same for what lies deeper."""
    table, items = as_object(found), as_list(found)
    if table is not None:
        return {
            name: "(hidden)" if is_secret(str(name)) and each not in (None, "") else _shown(each)
            for name, each in table.items()
        }
    return found if items is None else [_shown(each) for each in items]


def plain(text: object) -> "Markup":
    """Text from outside: escaped, and what has no shape of its own (controls, direction marks) shown by its number."""
    from markupsafe import Markup, escape

    whole = str(text)
    parts = [_visible(char) if unicodedata.category(char) in _HIDDEN else escape(char) for char in whole[:_LONGEST]]
    if len(whole) > _LONGEST:
        parts.append(Markup('<span class="mark">… {} more characters</span>').format(len(whole) - _LONGEST))
    return Markup("").join(parts)


def _visible(char: str) -> "Markup":
    from markupsafe import Markup

    if char in "\n\t":
        return Markup(char)  # noqa: S704 - one of two characters
    name = unicodedata.name(char, "control character").lower()
    return Markup('<span class="mark" title="{}">U+{:04X}</span>').format(name, ord(char))
