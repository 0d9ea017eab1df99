"""A provider that is gone for a while: no storm of retries, and work goes on as soon as it is back."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def outage(kind: str, seconds: float, folder: Path) -> tuple[int, int, float]:
    """Calls made during an outage, attempts that reached the provider meanwhile, seconds until it was used again."""
    plan = {"limit": 10_000, "outage": kind}
    provider = subprocess.Popen(
        [sys.executable, str(HERE / "provider.py"), json.dumps(plan)], stdout=subprocess.PIPE, text=True
    )
    assert provider.stdout is not None
    url = f"http://127.0.0.1:{int(provider.stdout.readline())}"
    callers: list[subprocess.Popen[str]] = []
    try:
        pause = 16 * seconds / 500  # 16 callers make about 500 calls during the outage
        for number in range(2):
            work = {
                "url": url,
                "store": f"sqlite:{folder / 'limits.db'}",
                "who": f"p{number}",
                "callers": 8,
                "pause": pause,
            }
            callers.append(
                subprocess.Popen(
                    [sys.executable, str(HERE / "caller.py"), json.dumps(work)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
        for caller in callers:
            assert caller.stdout is not None
            assert caller.stdout.readline() == "ready\n"
        with urllib.request.urlopen(f"{url}/_outage?seconds={seconds + 0.5}") as answer:
            answer.read()
        began = time.time()
        ends = began + seconds + 0.5
        for caller in callers:
            assert caller.stdin is not None
            caller.stdin.write(f"{began + 0.2} {ends + 3}\n")
            caller.stdin.flush()
        calls = [
            call for caller in callers for call in json.loads(caller.communicate(timeout=seconds + 60)[0])["calls"]
        ]
        with urllib.request.urlopen(f"{url}/_stats") as answer:
            seen = json.load(answer)
    finally:
        for process in [*callers, provider]:
            process.kill()
            process.communicate()
    back = min((at for at, status, _ in seen if status == 200), default=float("inf")) - ends
    return sum(at < ends for at, _, _ in calls), sum(status == 0 for _, status, _ in seen), back


@pytest.mark.parametrize("kind", ["reset", "503"])
def test_a_short_outage_is_not_multiplied(kind: str, tmp_path: Path) -> None:
    calls, attempts, back = outage(kind, 2.0, tmp_path)
    print(f"{calls} calls, {attempts} attempts, back after {back:.2f} s")
    assert calls >= 20
    assert attempts <= 1.2 * calls
    assert back <= 2.0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["reset", "503"])
def test_500_calls_during_an_outage_of_20_seconds(kind: str, tmp_path: Path) -> None:
    calls, attempts, back = outage(kind, 20.0, tmp_path)
    print(f"{calls} calls, {attempts} attempts, back after {back:.2f} s")
    assert calls >= 300
    assert attempts <= 1.2 * calls
    assert back <= 2.0
