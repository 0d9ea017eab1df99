"""In a flood of forgeries strangers are turned away, and nobody who has proven himself."""

import socket
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from clew.servers.http import open_listener
from clew.servers.shedding import FLOOD, HOLD_SECONDS, Listener, Shedder, forged, proven

GOOD, STRANGER = "127.0.0.1", "127.0.0.2"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def flooded(shedder: Shedder, most: int = FLOOD) -> None:
    for _ in range(most):
        shedder.forged()


def test_strangers_are_turned_away_from_a_flood_on_until_it_is_over() -> None:
    clock = Clock()
    shedder = Shedder(clock)
    shedder.good(GOOD)
    flooded(shedder, FLOOD - 1)
    assert not shedder.refuses(STRANGER), "what is sent now and then is answered, slowly"
    clock.now += 1
    flooded(shedder)
    assert shedder.refuses(STRANGER)
    assert not shedder.refuses(GOOD)
    clock.now += HOLD_SECONDS
    assert not shedder.refuses(STRANGER)


def test_whoever_keeps_coming_keeps_the_door_shut() -> None:
    clock = Clock()
    shedder = Shedder(clock)
    flooded(shedder)
    for _ in range(10):
        clock.now += HOLD_SECONDS - 1
        assert all(shedder.refuses(STRANGER) for _ in range(FLOOD))
    assert shedder.shed == 10 * FLOOD


def test_only_so_many_addresses_are_remembered_the_latest_ones() -> None:
    shedder = Shedder(Clock())
    shedder.good(GOOD)
    for number in range(4096):
        shedder.good(f"10.0.{number // 256}.{number % 256}")
        if number % 1000 == 0:
            shedder.good(GOOD)
    flooded(shedder)
    assert shedder.refuses("10.0.0.0")
    assert not shedder.refuses("10.0.15.255")
    assert not shedder.refuses(GOOD)


def test_a_request_tells_the_shedder_of_its_server_and_is_fine_without_one() -> None:
    shedder = Shedder(Clock())
    scope = {"state": {"clew.shedder": shedder}, "client": (GOOD, 1)}
    proven({})
    proven({"state": {}})
    proven({**scope, "client": None})
    forged({})
    for _ in range(FLOOD):
        forged(scope)
    assert shedder.refuses(GOOD)
    proven(scope)
    assert not shedder.refuses(GOOD)


@contextmanager
def calling(listener: Listener, address: str) -> Generator[socket.socket]:
    with socket.socket() as caller:
        caller.bind((address, 0))
        caller.settimeout(5)
        caller.connect(listener.getsockname())
        yield caller


def test_the_listener_closes_their_connections_unread_and_lets_the_others_in() -> None:
    with open_listener("", "127.0.0.1", 0) as listener:
        listener.setblocking(False)
        listener.shedder.good(GOOD)
        flooded(listener.shedder)
        with calling(listener, STRANGER) as stranger, calling(listener, GOOD) as good:
            connection, peer = listener.accept()
            with connection:
                assert peer == good.getsockname()
            with pytest.raises(ConnectionResetError):
                stranger.recv(1)
            with pytest.raises(BlockingIOError):
                listener.accept()
