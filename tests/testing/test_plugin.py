"""What the author of a package writes in their own tests, run by a pytest of its own."""

import subprocess
import sys
from pathlib import Path

from clew.testing.kit import CHECKS

CONNECTOR = '''
from pydantic import BaseModel
from clew import Api, Bearer, Connector

billing = Connector("billing", base_url="https://billing.example.com", auth=Bearer())

class Bill(BaseModel):
    id: str

@billing.read
async def get_bill(api: Api, bill_id: str) -> Bill:
    """Read one bill."""
    return await api.get("/bills/{}", bill_id, into=Bill)
'''
TESTS = """
from clew.testing import connector_tests

test_billing = connector_tests({name!r}, skip=("snapshot",))
"""


def run(folder: Path, source: str) -> "subprocess.CompletedProcess[str]":
    (folder / "billing.py").write_text(source)
    (folder / "test_billing.py").write_text(TESTS.format(name=str(folder / "billing.py")))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_each_check_is_a_test(tmp_path: Path) -> None:
    done = run(tmp_path, CONNECTOR)
    assert done.returncode == 0, done.stdout
    assert f"{len(CHECKS) - 1} passed" in done.stdout


def test_a_fault_fails_and_names_the_line(tmp_path: Path) -> None:
    done = run(tmp_path, CONNECTOR.replace("get_bill", "delete_bill"))
    assert done.returncode == 1
    assert "billing.py:10: delete_bill sounds like a change and is a read." in done.stdout
    assert f"1 failed, {len(CHECKS) - 2} passed" in done.stdout


def test_importing_the_kit_loads_nothing_heavy() -> None:
    code = "import sys, clew.testing; print([m for m in ('httpx', 'pydantic', 'mcp', 'pytest') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
