"""Acme's few pages for people: plain HTML forms, no script."""

from collections.abc import Mapping
from html import escape

from starlette.responses import HTMLResponse

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Acme</title>
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem}}
button{{font:inherit;padding:.5rem 1.25rem;margin-right:.5rem}}</style></head>
<body><main><h1>{title}</h1>{body}</main></body></html>"""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


def say(title: str, text: str, *, status: int = 200) -> HTMLResponse:
    """Return a page that only says something."""
    return HTMLResponse(_PAGE.format(title=escape(title), body=f"<p>{escape(text)}</p>"), status, headers=_HEADERS)


def ask(
    title: str,
    lines: list[str],
    *,
    hidden: Mapping[str, str],
    name: str,
    buttons: Mapping[str, str],
    field: tuple[str, str] | None = None,
) -> HTMLResponse:
    """Return a page with one question: `buttons` maps the value of `name` to its label, `field` is (name, label)."""
    said = "".join(f"<p>{escape(line)}</p>" for line in lines)
    kept = "".join(f'<input type="hidden" name="{escape(k)}" value="{escape(v)}">' for k, v in hidden.items())
    typed = ""
    if field is not None:
        typed = (
            f'<p><label>{escape(field[1])} <input name="{escape(field[0])}" required autocomplete="off"></label></p>'
        )
    choices = "".join(
        f'<button type="submit" name="{escape(name)}" value="{escape(value)}">{escape(label)}</button>'
        for value, label in buttons.items()
    )
    body = f'{said}<form method="post">{kept}{typed}{choices}</form>'
    return HTMLResponse(_PAGE.format(title=escape(title), body=body), headers=_HEADERS)
