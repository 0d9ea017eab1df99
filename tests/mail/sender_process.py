"""One send in a process of its own, which the test kills: `python -m tests.mail.sender_process PLAN`, a JSON object."""

import asyncio
import json
import sys
from pathlib import Path

from tests.attacks.hearing import Person

from clew.core.policy import Decision, Policy
from clew.core.secret import Secret
from clew.servers.runtime import Runtime
from clew.servers.settings import Settings


async def main(home: str, database: str, call: dict[str, object]) -> None:
    settings = Settings(
        home=Path(home), key_provider="file", database=Secret(database), policy=Policy(writes=Decision.ALLOW)
    )
    async with Runtime.open(settings, ["email"]) as runtime:
        print(json.dumps(await runtime.call("send_message", call, host=Person(), deadline=20)))


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
