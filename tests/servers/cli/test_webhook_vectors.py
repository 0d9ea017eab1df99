"""Deliveries that providers' own libraries signed, and twists of them, through `clew webhooks verify --batch`.

`data/webhook_vectors.jsonl` holds a line for each: what it is, the line for the command, our verdict, and what the
library said of it, `-` where there is none: stripe 16.1.0, slack_sdk 3.47.0, gidgethub, standardwebhooks 1.1.0, svix
2.9.1, twilio 9.13.0, hubspot-api-client 12.0.0, squareup 46.0.0, discord-interactions, razorpay, line-bot-sdk,
gocardless_pro, workos, paddle-python-sdk, Adyen, modern_treasury, messagebird. Where the two differ, theirs takes a
time in the future, looks at no time at all, or raises.
"""

import json
import subprocess
import sys
from pathlib import Path

from clew.servers.cli.verifying import judge_line
from clew.servers.webhook_schemes import Schemes

VECTORS = Path(__file__).parent / "data" / "webhook_vectors.jsonl"
LINES = [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").splitlines()]


def batch(*words: str, lines: list[object]) -> list[dict[str, str]]:
    given = "".join(json.dumps(line) + "\n" for line in lines)
    command = [sys.executable, "-m", "clew.servers.cli", "webhooks", "verify", *words, "--batch"]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_each_vector_is_judged_as_it_should_be() -> None:
    found = batch(lines=[each["line"] for each in LINES])
    assert len(found) == len(LINES) >= 120
    wrong = {each["what"]: said for each, said in zip(LINES, found, strict=True) if said["verdict"] != each["verdict"]}
    assert wrong == {}


def test_the_command_and_the_function_agree() -> None:
    known: dict[str, Schemes] = {}
    found = {each["what"]: judge_line(json.dumps(each["line"]).encode(), known)["verdict"] for each in LINES}
    assert found == {each["what"]: each["verdict"] for each in LINES}


def test_no_library_refuses_what_is_accepted_for_another_reason_than_its_own_clock() -> None:
    taken = [each["what"] for each in LINES if each["verdict"] == "valid" and each["theirs"].startswith("invalid")]
    assert taken == []


def test_a_line_cannot_have_a_program_run(tmp_path: Path) -> None:
    trace, program = tmp_path / "ran", tmp_path / "scheme.py"
    program.write_text(
        f"from clew import webhooks\nopen({str(trace)!r}, 'w').close()\n"
        "s = webhooks.Scheme(name='own', proof=webhooks.SharedSecret(place='x-token'))\n"
    )
    good = {"headers": [["X-Token", "t"]], "secrets": ["t"]}
    (refused,) = batch(lines=[{**good, "scheme": str(program)}])
    assert refused["verdict"] == "invalid"
    assert "command line" in refused["reason"]
    assert not trace.exists()
    named = batch(str(program), lines=[{**good, "scheme": str(program)}, good])
    assert [each["verdict"] for each in named] == ["valid", "valid"]
