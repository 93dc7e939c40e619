"""An absent server is noticed in time, and what is changed for that is put back."""

import socket
import sys
import time

import pytest
from huggingface_hub import constants

from local_server import serve
from model_zoo.reachable import STALL, hub_or_its_cache, library_download, unreachable


@pytest.fixture
def site():
    with serve() as site:
        yield site


def test_a_server_that_answers_is_reachable_whatever_the_answer(site):
    site.statuses |= {"/forbidden": 403, "/none": 404}
    assert unreachable(site.url) == ""
    assert unreachable(f"{site.url}/forbidden") == ""
    assert unreachable(f"{site.url}/none") == ""


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_is_not(site, status):
    site.statuses["/"] = status
    assert unreachable(f"{site.url}/").startswith(f"127.0.0.1: the server answered {status}")


def test_a_closed_port_is_named_with_its_host():
    assert unreachable("http://127.0.0.1:9") == "127.0.0.1: Connection refused"


def test_silence_is_cut_short(monkeypatch):
    monkeypatch.setattr("model_zoo.reachable.PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        start = time.monotonic()
        problem = unreachable(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert "timed out" in problem or "no answer within 0.3 seconds" in problem
    assert time.monotonic() - start < 2


def test_a_silent_name_server_is_cut_short(monkeypatch):
    monkeypatch.setattr("model_zoo.reachable.PATIENCE", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(3))
    start = time.monotonic()
    assert unreachable("http://somewhere.invalid") == (
        "somewhere.invalid: no answer within 0.2 seconds"
    )
    assert time.monotonic() - start < 2


def test_an_unreachable_hub_is_not_asked_inside_the_block_only(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with hub_or_its_cache() as problem:
        assert problem == "127.0.0.1: Connection refused"
        assert constants.HF_HUB_OFFLINE
    assert not constants.HF_HUB_OFFLINE
    with pytest.raises(ValueError), hub_or_its_cache():
        raise ValueError
    assert not constants.HF_HUB_OFFLINE


def test_a_hub_that_answers_is_used(site, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", site.url)
    with hub_or_its_cache() as problem:
        assert problem == ""
        assert not constants.HF_HUB_OFFLINE


def test_a_user_who_works_offline_is_obeyed(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("model_zoo.reachable.unreachable", lambda url: pytest.fail("asked"))
    with hub_or_its_cache() as problem:
        assert problem == "HF_HUB_OFFLINE is set"
    assert constants.HF_HUB_OFFLINE


def test_a_librarys_connections_get_a_limit_and_its_words_leave_stdout(capsys):
    before = socket.getdefaulttimeout()
    with library_download():
        assert socket.getdefaulttimeout() == STALL
        print("Downloading")
    assert socket.getdefaulttimeout() == before
    assert capsys.readouterr() == ("", "Downloading\n")
    assert sys.stdout is not sys.stderr
