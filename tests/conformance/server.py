"""Connectors over HTTP for the official conformance suite, each at an address of its own, from an empty home.

    python tests/conformance/server.py HOME fixture|NAME…

Prints one JSON object, the addresses by name, and serves until it is ended. `fixture` is the suite's own tools:
`connector.py` on clew's public names, and `guests.py` for what connectors do not offer.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from clew.servers.program import use_one_http_stack

HERE = Path(__file__).resolve().parent


async def main(home: Path, names: list[str]) -> None:
    """Serve `names` until the process is ended."""
    import uvicorn
    from tests.conformance.guests import Guests

    from clew.core.policy import Decision, Policy
    from clew.servers import http
    from clew.servers.guard import configure
    from clew.servers.runtime import Runtime
    from clew.servers.settings import Settings

    built: Callable[..., Any] = vars(http)["build_server"]

    def with_guests(runtime: Runtime, *words: Any) -> Any:
        server = built(runtime, *words)
        if runtime.name == "conformance":
            Guests(server, runtime)
        return server

    setattr(http, "build_server", with_guests)  # noqa: B010 - what connectors do not offer stands on the server that clew builds

    async with contextlib.AsyncExitStack() as stack:
        addresses: dict[str, str] = {}
        serving: list[Coroutine[Any, Any, None]] = []
        for name in names:
            settings = Settings(home=home / name, key_provider="file", policy=Policy(writes=Decision.ALLOW))
            chosen = str(HERE / "connector.py") if name == "fixture" else name
            runtime = await stack.enter_async_context(Runtime.open(settings, [chosen]))
            listener = stack.enter_context(http.open_listener("127.0.0.1:0", "127.0.0.1", 0))
            host, port = http.shown_address(listener)
            app = http.create_app(runtime, host=host, port=port)
            serving.append(uvicorn.Server(configure(app, lifespan="on")).serve(sockets=[listener]))
            addresses[name] = f"http://{host}:{port}/mcp"
        sys.stdout.write(json.dumps(addresses) + "\n")
        sys.stdout.flush()
        await asyncio.gather(*serving)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[1]))
    use_one_http_stack()
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
