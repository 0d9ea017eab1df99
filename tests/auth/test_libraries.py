"""authlib and joserfc build and sign; they never open a connection of their own."""

import socket
import subprocess
import sys
from typing import Any, NoReturn

import pytest

from clew.auth.assertions import sign_assertion
from clew.auth.endpoints import Assertion
from clew.auth.oauth import Client, authorization_url, code_request, refresh_request, token_request
from clew.auth.schemes import OAuth2
from clew.core.secret import Secret

from .material import rsa_key

URL = "https://acme.example/token"


def test_building_every_message_opens_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("a socket was opened")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    key, redirect = Secret(rsa_key()), "http://127.0.0.1:1/callback"
    for way in ("post", "basic", "none", "private_key_jwt"):
        scheme = OAuth2(client_auth=way)
        client = Client("c", Secret("s"), key)
        authorization_url(scheme, URL, client, redirect_uri=redirect, state="s", verifier="v", scopes=("a",))
        code_request(scheme, URL, client, code=Secret("x"), redirect_uri=redirect, verifier="v")
        refresh_request(scheme, URL, client, refresh_token=Secret("r"))
        token_request(scheme, URL, client, {"grant_type": "client_credentials"})
    sign_assertion(Assertion(), key, {"client_id": "c", "token_url": URL})


def test_no_http_client_of_authlib_is_ever_loaded() -> None:
    # Its HTTP integration would bypass our time limits, sizes and redirects.
    program = (
        "import sys, pkgutil, importlib, clew.auth\n"
        "for each in pkgutil.iter_modules(clew.auth.__path__): importlib.import_module(f'clew.auth.{each.name}')\n"
        "from clew.auth.oauth import *\n"
        "from clew.core.secret import Secret\n"
        "from clew.auth.schemes import OAuth2\n"
        "code_request(OAuth2(), 'https://a.example', Client('c'), code=Secret('x'), redirect_uri='r', verifier='v')\n"
        "print(sorted(name for name in sys.modules if name.startswith(('authlib.integrations', 'requests'))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
