"""What tool lists cost a model: ours against the best known servers: `python -m bench.tokens [--write] [NAME…]`.

Every server is started over stdio in an empty home, with credentials that are made up, and asked for its tools. Counted
are name, description and input schema as compact JSON in the o200k encoding, of all tools, and of those that the five
commonest tasks with that provider take. What those tasks answer is counted too, where an upstream can be had here that
both servers take for the provider (tokens_results.py). Needs `pip install rs-bpe` here, and in `.cache/bench/tokens`:

    npm install --prefix .cache/bench/tokens node@24 @notionhq/notion-mcp-server@2.5.2 \
        @modelcontextprotocol/server-github@2025.4.8 @modelcontextprotocol/server-slack@2025.4.25 \
        @hubspot/mcp-server@0.4.0 @softeria/ms-365-mcp-server@0.155.0 @cocal/google-calendar-mcp@2.6.3 \
        @gongrzhe/server-gmail-autoauth-mcp@1.1.11 @tacticlaunch/mcp-linear@1.4.3 shopify-mcp@1.0.8 \
        @tsmztech/mcp-server-salesforce@0.0.6 emulate@0.12.2
    python -m venv .cache/bench/tokens/python && .cache/bench/tokens/python/bin/pip install mcp-atlassian==0.23.1

Stripe's server asks Stripe for its tools, so it is not compared here.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import tokens_results
from bench.tokens_client import APP, PLACE, counter, node, started

TOP = Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "tokens.md"
GOAL = 0.35

Tasks = Sequence[tuple[str, Sequence[str], Sequence[str]]]
"""Of each task: what it is, their tools for it, ours."""


@dataclass(frozen=True)
class Peer:
    """One pair: our connector, their server, and what the same tasks take."""

    connector: str
    server: str
    program: Sequence[str]
    tasks: Tasks
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


PEERS = (
    Peer(
        "github",
        "@modelcontextprotocol/server-github 2025.4.8",
        node("mcp-server-github"),
        (
            ("find an issue", ["search_issues"], ["search_issues"]),
            ("read it", ["get_issue"], ["get_issue", "list_comments"]),
            ("open one", ["create_issue"], ["create_issue"]),
            ("comment", ["add_issue_comment"], ["add_comment"]),
            ("read a file", ["get_file_contents"], ["get_file"]),
        ),
        {"GITHUB_PERSONAL_ACCESS_TOKEN": "none"},
    ),
    Peer(
        "notion",
        "@notionhq/notion-mcp-server 2.5.2",
        node("notion-mcp-server"),
        (
            ("search", ["API-post-search"], ["search"]),
            ("read a page", ["API-retrieve-a-page", "API-retrieve-page-markdown"], ["get_page"]),
            ("create a page", ["API-post-page"], ["create_page"]),
            ("query a database", ["API-query-data-source"], ["query_data_source"]),
            ("change properties", ["API-patch-page"], ["update_page_properties"]),
        ),
        {"NOTION_TOKEN": "none"},
    ),
    Peer(
        "slack",
        "@modelcontextprotocol/server-slack 2025.4.25",
        node("mcp-server-slack"),
        (
            ("find a channel", ["slack_list_channels"], ["list_channels"]),
            ("read it", ["slack_get_channel_history"], ["read_channel"]),
            ("read a thread", ["slack_get_thread_replies"], ["read_thread"]),
            ("post", ["slack_post_message"], ["post_message"]),
            ("reply", ["slack_reply_to_thread"], ["reply"]),
        ),
        {"SLACK_BOT_TOKEN": "none", "SLACK_TEAM_ID": "T0"},
    ),
    Peer(
        "hubspot",
        "@hubspot/mcp-server 0.4.0",
        node("mcp-hubspot"),
        (
            ("find a contact", ["hubspot-search-objects"], ["search_contacts"]),
            ("read it", ["hubspot-batch-read-objects"], ["get_contact"]),
            ("create one", ["hubspot-batch-create-objects"], ["create_contact"]),
            ("change a deal", ["hubspot-batch-update-objects"], ["update_deal"]),
            ("note a call", ["hubspot-create-engagement"], ["create_note"]),
        ),
        {"PRIVATE_APP_ACCESS_TOKEN": "none"},
    ),
    Peer(
        "google_calendar",
        "@cocal/google-calendar-mcp 2.6.3",
        node("google-calendar-mcp"),
        (
            ("which calendars", ["list-calendars"], ["list_calendars"]),
            ("what is on", ["list-events"], ["list_events"]),
            ("when are all free", ["get-freebusy"], ["find_free_time"]),
            ("make an event", ["create-event"], ["create_event"]),
            ("move it", ["update-event"], ["update_event"]),
        ),
        {"GOOGLE_OAUTH_CREDENTIALS": "{home}/app.json"},
    ),
    Peer(
        "gmail",
        "@gongrzhe/server-gmail-autoauth-mcp 1.1.11",
        node("gmail-mcp"),
        (
            ("find a message", ["search_emails"], ["search_messages"]),
            ("read it", ["read_email"], ["get_message"]),
            ("send", ["send_email"], ["send_message"]),
            ("draft", ["draft_email"], ["create_draft"]),
            ("label", ["modify_email"], ["label_messages"]),
        ),
        {"GMAIL_OAUTH_PATH": "{home}/app.json"},
    ),
    Peer(
        "linear",
        "@tacticlaunch/mcp-linear 1.4.3",
        node("mcp-linear"),
        (
            ("find an issue", ["linear_searchIssues"], ["search_issues"]),
            ("read it", ["linear_getIssueById"], ["get_issue"]),
            ("open one", ["linear_createIssue"], ["create_issue"]),
            ("change it", ["linear_updateIssue"], ["update_issue"]),
            ("comment", ["linear_createComment"], ["add_comment"]),
        ),
        {"LINEAR_API_TOKEN": "none"},
    ),
    Peer(
        "microsoft",
        "@softeria/ms-365-mcp-server 0.155.0",
        node("ms-365-mcp-server"),
        (
            ("find a message", ["list-mail-messages"], ["search_messages"]),
            ("read it", ["get-mail-message"], ["get_message"]),
            ("send", ["send-mail"], ["send_message"]),
            ("what is on", ["get-calendar-view"], ["list_events"]),
            ("make an event", ["create-calendar-event"], ["create_event"]),
        ),
        {"MS365_MCP_OAUTH_TOKEN": "none"},
    ),
    Peer(
        "jira",
        "mcp-atlassian 0.23.1",
        [str(PLACE / "python/bin/mcp-atlassian")],
        (
            ("find an issue", ["jira_search"], ["search_issues"]),
            ("read it", ["jira_get_issue"], ["get_issue"]),
            ("open one", ["jira_create_issue"], ["create_issue"]),
            ("move it on", ["jira_get_transitions", "jira_transition_issue"], ["list_transitions", "transition_issue"]),
            ("comment", ["jira_add_comment"], ["add_comment"]),
        ),
        {"JIRA_URL": "https://none.atlassian.net", "JIRA_USERNAME": "none@example.com", "JIRA_API_TOKEN": "none"},
    ),
    Peer(
        "shopify",
        "shopify-mcp 1.0.8",
        node("shopify-mcp"),
        (
            ("find an order", ["get-orders"], ["search_orders"]),
            ("read it", ["get-order-by-id"], ["get_order"]),
            ("find a product", ["get-products"], ["search_products"]),
            ("read it", ["get-product-by-id"], ["get_product"]),
            ("find a customer", ["get-customers"], ["search_customers"]),
        ),
        {"SHOPIFY_ACCESS_TOKEN": "none", "MYSHOPIFY_DOMAIN": "none.myshopify.com"},
    ),
    Peer(
        "salesforce",
        "@tsmztech/mcp-server-salesforce 0.0.6",
        node("salesforce-connector"),
        (
            ("find a record", ["salesforce_search_all"], ["search_records"]),
            ("query", ["salesforce_query_records"], ["query_records"]),
            ("what fields there are", ["salesforce_describe_object"], ["describe_object"]),
            ("create one", ["salesforce_dml_records"], ["create_record"]),
            ("change it", ["salesforce_dml_records"], ["update_record"]),
        ),
        {"SALESFORCE_USERNAME": "none", "SALESFORCE_PASSWORD": "none", "SALESFORCE_TOKEN": "none"},
    ),
)


async def listed(program: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """The tools of a server: what a model is told of each, by name. Raises `OSError`, `TimeoutError`, `EOFError`."""
    found: dict[str, str] = {}
    async with started(program, environment, {"app.json": APP}) as session:
        cursor = None
        while True:
            page = await session.ask("tools/list", {"cursor": cursor} if cursor else {})
            for tool in page["tools"]:
                told = {
                    "name": tool["name"],
                    "description": tool.get("description", ""),
                    "inputSchema": tool["inputSchema"],
                }
                found[tool["name"]] = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
            cursor = page.get("nextCursor")
            if not cursor:
                return found


def rows(wanted: Sequence[str]) -> list[str]:
    """The table, a line for each pair that is installed."""
    count = counter()
    lines: list[str] = []
    for peer in PEERS:
        if wanted and peer.connector not in wanted:
            continue
        if not Path(peer.program[-1] if len(peer.program) == 1 else peer.program[1]).exists():
            print(f"{peer.server} is not installed", file=sys.stderr)
            continue
        theirs = {name: count(text) for name, text in asyncio.run(listed(peer.program, peer.environment)).items()}
        program = [str(Path(sys.executable).parent / "clew"), "serve", peer.connector]
        ours = {name: count(text) for name, text in asyncio.run(listed(program, {"CLEW_HOME": ""})).items()}
        them = sum(theirs[name] for name in {each for _, names, _ in peer.tasks for each in names})
        us = sum(ours[name] for name in {each for _, _, names in peer.tasks for each in names})
        cells = [peer.connector, peer.server, f"{len(theirs)}", f"{sum(theirs.values())}", f"{len(ours)}"]
        cells += [f"{sum(ours.values())}", f"{sum(ours.values()) / sum(theirs.values()):.2f}", f"{them}", f"{us}"]
        lines.append(f"| {' | '.join(cells)} | {us / them:.2f} |")
        print(lines[-1], flush=True)
    return lines


HEAD = """| connector | against | their tools | tokens | ours | tokens | ratio | five tasks, theirs | ours | ratio |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def main() -> None:
    """Print the tables, and write them into the documentation with `--write`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"put the tables into docs/{PAGE.name}")
    parser.add_argument("names", nargs="*", metavar="NAME")
    given = parser.parse_args()
    if given.write and given.names:
        parser.error("--write is for all of them: the tables are written as a whole")
    print(HEAD)
    lists = [HEAD, *rows(given.names)]
    print(tokens_results.HEAD)
    results = [tokens_results.HEAD, *tokens_results.rows(given.names)]
    if given.write:
        PAGE.write_text(_put(_put(PAGE.read_text(), "lists", lists), "results", results))


def _put(page: str, name: str, lines: Sequence[str]) -> str:
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, _, rest = page.partition(begin)
    return "".join([before, begin, "\n".join(lines), "\n", end, rest.partition(end)[2]])


if __name__ == "__main__":
    main()
