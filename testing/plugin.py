"""The checks as tests of pytest, one for each."""

from collections.abc import Callable
from pathlib import Path

from clew.core.connector import Connector
from clew.testing.kit import CHECKS, Subject, run


def connector_tests(
    connector: str | Connector, *, examples: str | Path | None = None, skip: tuple[str, ...] = ()
) -> Callable[[str], None]:
    """A test function with one case for each check of `connector`: its name, its file, or itself.

    `examples` is the folder of its recorded examples, which is found by itself beside the connector's module. `skip`
    names checks to leave out. Nothing is loaded before the first case runs.
    """
    import pytest

    subjects: list[Subject] = []

    @pytest.mark.parametrize("check", [name for name in CHECKS if name not in skip])
    def test_connector(check: str) -> None:
        if not subjects:
            subjects.append(Subject.of(connector, examples=examples))
        seen = run(check, subjects[0])
        faults = [finding.line for finding in seen.findings if not finding.advice]
        assert not faults, "\n" + "\n".join(faults)

    return test_connector
