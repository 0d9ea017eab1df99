"""The site is built of the pages and of the code, its links lead somewhere, and it asks the network for nothing."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from clew.core.registry import discover
from clew.servers.cli.parser import build
from clew.servers.settings import VARIABLES

pytestmark = pytest.mark.packaging
ROOT = Path(__file__).parents[1]


class Page(HTMLParser):
    """The places in a page, its links, and what a browser loads for it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = {name: value or "" for name, value in attrs}
        self.places |= {facts[name] for name in ("id", "name") if name in facts}
        if tag == "a" and "href" in facts:
            self.links.append(facts["href"])
        if tag in ("script", "img", "iframe", "source") or (tag == "link" and facts.get("rel") != "canonical"):
            self.loaded += [facts[name] for name in ("src", "href") if name in facts]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    folder = tmp_path_factory.mktemp("site").resolve()
    command = [sys.executable, str(ROOT / "scripts/site_pages.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    return {path: Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}


def root(site: dict[Path, Page]) -> Path:
    return min(site, key=lambda path: len(path.parts)).parent


def test_every_link_leads_somewhere(site: dict[Path, Page]) -> None:
    wrong: list[str] = []
    for path, page in site.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = site.get(target / "index.html" if target.is_dir() else target)
            if not target.exists() or (parts.fragment and there and unquote(parts.fragment) not in there.places):
                wrong.append(f"{path.name}: {link}")
    assert wrong == []


def test_a_browser_loads_nothing_from_elsewhere(site: dict[Path, Page]) -> None:
    loaded = {name for page in site.values() for name in page.loaded}
    assert loaded
    assert [name for name in loaded if urlsplit(name).netloc] == []
    styles = "".join(path.read_text() for path in root(site).rglob("*.css"))
    assert re.findall(r"url\(\s*['\"]?(?:https?:)?//", styles) == []


def test_the_reference_has_every_connector_command_and_variable(site: dict[Path, Page]) -> None:
    reference = root(site) / "reference"
    assert {path.stem for path in (reference / "connectors").glob("*.html")} >= set(discover())
    shown = (reference / "command-line.html").read_text(encoding="utf-8")
    commands = next(action.choices for action in build()._actions if action.dest == "command")  # pyright: ignore[reportPrivateUsage]
    assert [name for name in commands or () if f"clew {name}" not in shown] == []
    shown = (reference / "configuration.html").read_text(encoding="utf-8")
    assert [name for name in VARIABLES if name not in shown] == []
