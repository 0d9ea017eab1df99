"""What an author declares: the facts of one provider, and tools through three doors."""

import inspect
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, overload

from clew.core.bounds import Bounds
from clew.core.credentials import Scheme
from clew.core.errors import ConfigurationError
from clew.core.once import Look, Once, Reader, check_declared
from clew.core.outcomes import ErrorMap
from clew.core.pages import Paginator
from clew.core.schema import Signature
from clew.core.values import dataclass
from clew.core.versions import Version

if TYPE_CHECKING:
    from clew.core.api import Api
    from clew.core.events import Events
    from clew.core.limiter import Declared
    from clew.core.limits import Limit, RateLimitHeaders
    from clew.core.subscriptions import Subscription, Watch
    from clew.core.webhooks.scheme import Scheme as WebhookScheme
    from clew.core.workflow import Flow

P = ParamSpec("P")
R = TypeVar("R")
ToolFunction = Callable[..., Awaitable[Any]]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Effect(StrEnum):
    """What a tool does to the world. It fixes the MCP hints, the retry policy, the consent policy and `--read-only`."""

    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"


@dataclass(frozen=True)
class Tool:
    """One function that a model may call; `preview` shows a person what a destructive one will hit.

    `scopes` are the rights it needs beyond those that the connector always asks for; `repo|public_repo` is a choice, of
    which the first is asked for. `once` says what the provider offers against doing a write twice, `verify` how to see
    whether it happened.
    """

    connector: str
    name: str
    function: ToolFunction
    effect: Effect
    toolset: str
    preview: ToolFunction | None = None
    scopes: tuple[str, ...] = ()
    once: Once | None = None
    verify: Look | None = None
    workflow: bool = False

    @property
    def description(self) -> str:
        """The function's docstring, on one line."""
        return " ".join((self.function.__doc__ or "").split())

    @property
    def asks(self) -> tuple[str, ...]:
        """The scopes to ask a person for, so that this tool works."""
        return tuple(each.partition("|")[0] for each in self.scopes)

    def lacks(self, granted: Collection[str] | None) -> tuple[str, ...]:
        """What of `granted` is missing for this tool; nothing when nobody knows what was granted."""
        if granted is None:
            return ()
        return tuple(each.partition("|")[0] for each in self.scopes if not set(each.split("|")) & set(granted))

    @cached_property
    def signature(self) -> Signature:
        """Input and output schema, made when first asked for."""
        return Signature(self.function, self.name, keyed=self.effect is not Effect.READ)


@dataclass(frozen=True, slots=True)
class Asking:
    """Calls of a write that a person is asked about: those for which `when` holds, of the typed arguments.

    `preview` is a read tool that shows what the call will hit; it gets those arguments that it takes.
    """

    when: Callable[[Mapping[str, Any]], bool]
    preview: ToolFunction | None = None


@dataclass(eq=False)
class Connector:
    """One provider's API as facts. Tools are added by the decorators `read`, `write` and `destructive(preview=…)`.

    `base_url` is the API's root; an operator can override it (`[connectors.NAME] base_url`). `mail://account` says
    that the servers are SMTP and IMAP and stand in the connection's variables, `sql://HOST:PORT` that tools reach a
    database through a carrier. `auth` lists the ways to authenticate, the preferred one first. `headers` go with every
    request. `graphql` is the path of the GraphQL endpoint below `base_url`. `rate_limits` holds the provider's budgets
    (`Limit`) and where answers say what is left (`RateLimitHeaders`), one or several. `webhooks` says how deliveries
    are verified, one scheme or several of which a delivery uses one, `events` what they say, `subscription` how to ask
    for them, `watch` how to look where nobody delivers. `docs` is where a person reads about the API.
    """

    name: str
    base_url: str
    title: str = ""
    auth: Scheme | Sequence[Scheme] | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    version: Version | None = None
    pages: Paginator | None = None
    errors: ErrorMap = field(default_factory=ErrorMap)
    rate_limits: "RateLimitHeaders | Limit | Sequence[RateLimitHeaders | Limit] | None" = None
    bounds: Bounds = field(default_factory=Bounds)
    graphql: str = "/graphql"
    webhooks: "WebhookScheme | Sequence[WebhookScheme]" = ()
    events: "Events | None" = None
    subscription: "Subscription | None" = None
    watch: "Watch | None" = None
    docs: str = ""
    tools: dict[str, Tool] = field(default_factory=dict[str, Tool], init=False)
    asking: dict[str, Asking] = field(default_factory=dict[str, Asking], init=False)
    identify: "Callable[[Api], Awaitable[str]] | None" = field(default=None, init=False)
    left_out: dict[str, str] = field(default_factory=dict[str, str], init=False)
    """Operations of a description that are no tools, each with the reason."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(f"connector name {self.name!r}: use lower-case letters, digits and _, at most 40.")
        if not re.match(r"(https?|mail|sql)://[^/?#]+", self.base_url):
            raise ConfigurationError(f"connector {self.name}: base_url must be an http(s) URL, not {self.base_url!r}.")

    def __repr__(self) -> str:
        return f"Connector({self.name!r}, {len(self.tools)} tools)"

    @cached_property
    def schemes(self) -> tuple[Scheme, ...]:
        """The ways to authenticate, the preferred one first; empty when the API needs none."""
        if self.auth is None:
            return ()
        return (self.auth,) if isinstance(self.auth, Scheme) else tuple(self.auth)

    @property
    def webhook_schemes(self) -> "tuple[WebhookScheme, ...]":
        """How deliveries are verified; empty when the provider sends none, or nobody has said how."""
        return tuple(self.webhooks) if isinstance(self.webhooks, Sequence) else (self.webhooks,)

    @cached_property
    def declared(self) -> "Declared":
        """Budgets and header declarations, told apart."""
        from clew.core.limiter import Declared
        from clew.core.limits import Limit, RateLimitHeaders

        given = self.rate_limits
        facts = () if given is None else (given,) if isinstance(given, Limit | RateLimitHeaders) else tuple(given)
        limits = tuple(each for each in facts if isinstance(each, Limit))
        names = [limit.name for limit in limits]
        if len(set(names)) < len(names):
            raise ConfigurationError(f"connector {self.name}: two limits have the same name; give each its own.")
        return Declared(self.name, limits, tuple(each for each in facts if isinstance(each, RateLimitHeaders)))

    @overload
    def read(self, function: Callable[P, Awaitable[R]], /) -> Callable[P, Awaitable[R]]: ...
    @overload
    def read(
        self, /, *, toolset: str = "", scopes: Sequence[str] = ()
    ) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]: ...
    def read(self, function: ToolFunction | None = None, /, *, toolset: str = "", scopes: Sequence[str] = ()) -> Any:
        """Add a tool that changes nothing: retried freely, allowed without a person, kept by `--read-only`."""
        return self._door(function, Effect.READ, toolset=toolset, scopes=scopes)

    @overload
    def write(self, function: Callable[P, Awaitable[R]], /) -> Callable[P, Awaitable[R]]: ...
    @overload
    def write(
        self,
        /,
        *,
        toolset: str = "",
        scopes: Sequence[str] = (),
        once: Once | None = None,
        verify: Reader | Look | None = None,
    ) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]: ...
    def write(
        self,
        function: ToolFunction | None = None,
        /,
        *,
        toolset: str = "",
        scopes: Sequence[str] = (),
        once: Once | None = None,
        verify: Reader | Look | None = None,
    ) -> Any:
        """Add a tool that adds or changes something and can be undone: never sent twice blindly.

        `once` is what the provider offers against doing it twice, `verify` a read that shows whether it happened:
        `async (api, **arguments) -> result | None`, with those of the tool's parameters that it takes.
        """
        return self._door(function, Effect.WRITE, toolset=toolset, scopes=scopes, once=once, verify=verify)

    def destructive(
        self,
        *,
        preview: "Callable[Concatenate[Api, P], Awaitable[Any]]",
        toolset: str = "",
        scopes: Sequence[str] = (),
        once: Once | None = None,
        verify: Reader | Look | None = None,
    ) -> "Callable[[Callable[Concatenate[Api, P], Awaitable[R]]], Callable[Concatenate[Api, P], Awaitable[R]]]":
        """Add a tool whose effect cannot be taken back. `preview` is a read tool with the same parameters; what it
        returns is shown to a person, who must agree before the tool runs. `once` and `verify` as for `write`."""
        self._check_preview(preview)

        def add(
            function: Callable[Concatenate["Api", P], Awaitable[R]],
        ) -> Callable[Concatenate["Api", P], Awaitable[R]]:
            if list(inspect.signature(function).parameters) != list(inspect.signature(preview).parameters):
                raise ConfigurationError(f"tool {function.__name__}: its preview must take the same parameters.")
            facts: dict[str, Any] = {"preview": preview, "once": once, "verify": verify}
            self._add(function, Effect.DESTRUCTIVE, toolset=toolset, scopes=scopes, **facts)
            return function

        return add

    def workflow(
        self,
        *,
        preview: ToolFunction | None = None,
        toolset: str = "",
        scopes: Sequence[str] = (),
    ) -> "Callable[[Callable[Concatenate[Flow, P], Awaitable[R]]], Callable[Concatenate[Flow, P], Awaitable[R]]]":
        """Add a tool of several steps: its first parameter is `flow`, and each step is a tool of this connector.

        With a `preview`, a read tool all of whose parameters it has too, a person is asked once, for all of it; that is
        needed when a step is destructive.
        """
        if preview is not None:
            self._check_preview(preview)

        def add(
            function: "Callable[Concatenate[Flow, P], Awaitable[R]]",
        ) -> "Callable[Concatenate[Flow, P], Awaitable[R]]":
            own = inspect.signature(function).parameters
            if preview is not None and not set(list(inspect.signature(preview).parameters)[1:]) <= set(own):
                raise ConfigurationError(f"tool {function.__name__}: its preview takes what it does not.")
            effect = Effect.WRITE if preview is None else Effect.DESTRUCTIVE
            self._add(function, effect, toolset=toolset, scopes=scopes, preview=preview, workflow=True)
            return function

        return add

    def asks_when(
        self, tool: ToolFunction, /, *, preview: ToolFunction | None = None
    ) -> Callable[[Callable[[Mapping[str, Any]], bool]], Callable[[Mapping[str, Any]], bool]]:
        """Declare which calls of a write tool need a person's yes, by a function of the typed arguments: those that
        reach other people, say. `preview` is a read tool, all of whose parameters `tool` has too."""
        self._check_asking(tool, preview)

        def add(function: Callable[[Mapping[str, Any]], bool]) -> Callable[[Mapping[str, Any]], bool]:
            self.asking[tool.__name__] = Asking(function, preview)
            return function

        return add

    def _check_preview(self, preview: ToolFunction) -> None:
        shown = self.tools.get(getattr(preview, "__name__", ""))
        if shown is None or shown.function is not preview or shown.effect is not Effect.READ:
            raise ConfigurationError(f"connector {self.name}: a preview must be one of its read tools.")

    def _check_asking(self, function: ToolFunction, preview: ToolFunction | None) -> None:
        tool = self.tools.get(function.__name__)
        if tool is None or tool.function is not function or tool.effect is not Effect.WRITE:
            raise ConfigurationError(f"connector {self.name}: only its write tools can ask for some of their calls.")
        shown = self.tools.get(preview.__name__) if preview is not None else None
        if preview is not None and (shown is None or shown.effect is not Effect.READ):
            raise ConfigurationError(f"connector {self.name}: a preview must be one of its read tools.")
        if shown is not None and not set(shown.signature.parameters) <= set(tool.signature.parameters):
            raise ConfigurationError(f"tool {tool.name}: its preview takes what it does not.")

    def identity(self, function: "Callable[[Api], Awaitable[str]]") -> "Callable[[Api], Awaitable[str]]":
        """Declare the call that says whose credentials these are, in the provider's words (a login, an address)."""
        self.identify = function
        return function

    def _door(self, function: ToolFunction | None, effect: Effect, **facts: Any) -> Any:
        def add(tool: ToolFunction) -> ToolFunction:
            self._add(tool, effect, **facts)
            return tool

        return add if function is None else add(function)

    def _add(
        self,
        function: ToolFunction,
        effect: Effect,
        *,
        toolset: str,
        scopes: Sequence[str],
        preview: ToolFunction | None = None,
        once: Once | None = None,
        verify: Reader | Look | None = None,
        workflow: bool = False,
    ) -> None:
        name = function.__name__
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"tool name {name!r}: use verb_noun in lower case, at most 40 characters.")
        if name in self.tools:
            raise ConfigurationError(f"connector {self.name} has two tools called {name}.")
        if not (function.__doc__ or "").strip():
            raise ConfigurationError(f"tool {name} needs a docstring: it is what the model reads.")
        look = check_declared(name, once, verify)
        self.tools[name] = Tool(
            self.name, name, function, effect, toolset, preview, tuple(scopes), once, look, workflow
        )
