"""The index of our own connectors."""

import subprocess
import sys

from clew.servers.connector_index import FILE, indexed, write


def test_the_index_says_what_the_connectors_say() -> None:
    assert FILE.read_text(encoding="utf-8") == write(), "make it anew: python -m clew.servers.connector_index"


def test_a_list_imports_no_connector_of_ours() -> None:
    report = (
        "import sys; from clew.servers.cli import main; main(['list']); "
        "print(*[name for name in sys.modules if name.startswith('clew.connectors.')], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True, timeout=30)
    assert all(value.partition(":")[0].rpartition(".")[2] in done.stdout for value in indexed() if "acme" in value)
    assert done.stderr.strip() == ""
