"""The command: choose test beds, install what they are made of, run them, print, and write the page."""

import argparse
import asyncio
import contextlib
import importlib
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbeds import packages, page
from testbeds.report import Failed, Report

BEDS: Mapping[str, str] = {
    "github": "testbeds.emulate",
    "google": "testbeds.google",
    "slack": "testbeds.slack",
    "prism": "testbeds.prism",
    "stripe": "testbeds.stripe",
    "inspector": "testbeds.inspector",
    "conformance": "testbeds.conformance",
    "claude": "testbeds.claude",
    "install": "testbeds.installs",
    "hosts": "testbeds.hosts",
    "consent": "testbeds.consent",
}
"""The modules, imported when they are run: with them comes the MCP SDK."""
FAILED, USAGE, INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 when every check held, 1 when one did not, 2 for wrong usage or missing software."""
    options = _parsed(argv)
    report = Report(quiet=options.json)
    try:
        missing = asyncio.run(_run(report, tuple(options.only), install=options.install))
    except Failed as error:
        return _complain(str(error), USAGE)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _complain("stopped; everything it had started is stopped too.", INTERRUPTED)
    if options.json:
        sys.stdout.write(report.as_json(missing) + "\n")
    if missing:
        return _complain(f"not installed: {', '.join(missing)}. Run scripts/tested-with once.", USAGE)
    failed = sum(not row.ok for row in report.rows)
    report.say(f"\n{len(report.rows)} checks, {failed} failed")
    if options.write:
        packages.PAGE.write_text(page.render(report), encoding="utf-8")
        report.say(f"written: {packages.PAGE.relative_to(packages.ROOT)}")
    return 0 if report.ok else FAILED


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "tested-with",
        description="Run clew against software that nobody here wrote: a GitHub, a Google and a Slack with "
        "state, GitHub's and Stripe's own API descriptions, MCP's conformance suite and Inspector, Claude Code, "
        "Codex, Gemini CLI and opencode. Everything runs on 127.0.0.1 and is stopped at the end. The first run "
        "installs about 2.4 GB of Node packages into .cache/testbeds; it needs npm.",
        epilog="example: scripts/tested-with --only github,inspector",
    )
    parser.add_argument("--only", type=_names, default=list(BEDS), metavar="A,B", help=f"of {', '.join(BEDS)}")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end instead of lines")
    parser.add_argument("--write", action="store_true", help="write docs/tested-with.md; needs all test beds")
    parser.add_argument("--no-install", dest="install", action="store_false", help="install nothing")
    options = parser.parse_args(argv)
    if options.write and set(options.only) != set(BEDS):
        parser.error("--write needs all test beds: leave --only out.")
    return options


def _names(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    unknown = [name for name in names if name not in BEDS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"there is no test bed {', '.join(unknown)!r}; choose of {', '.join(BEDS)}.")
    return names


async def _run(report: Report, beds: tuple[str, ...], *, install: bool) -> list[str]:
    """Run the beds; returns the packages that are missing, in which case nothing was run."""
    task = asyncio.current_task()
    assert task is not None
    with contextlib.suppress(NotImplementedError):  # Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    if packages.missing(beds):
        if not install:
            return packages.missing(beds)
        await packages.install(report, beds)
    report.versions |= page.own_versions() | {"node": packages.PINNED["node"]}
    for name in beds:
        with tempfile.TemporaryDirectory(prefix="clew-beds-", ignore_cleanup_errors=True) as folder:
            await _run_bed(report, name, Path(folder))
    return []


async def _run_bed(report: Report, name: str, folder: Path) -> None:
    try:
        await importlib.import_module(BEDS[name]).check(report, folder)
    except Exception as error:
        reason = error

        async def tell() -> str:
            raise reason

        await report.check(name, "", "the test bed runs", tell)


def _complain(text: str, code: int) -> int:
    sys.stderr.write(f"tested-with: {text}\n")
    return code
