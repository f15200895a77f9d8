"""Whether SSH answers: against servers of our own that say what a test wants."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils import errors, ssh

Serve = Callable[[list[bytes | None]], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """``serve(greetings)`` → port; the n-th connection gets the n-th greeting, None is closed at once."""
    listeners: list[socket.socket] = []

    def start(greetings: list[bytes | None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def accept() -> None:
            for greeting in greetings:
                try:
                    connection, _address = listener.accept()
                except OSError:
                    return
                with connection:
                    if greeting:
                        connection.sendall(greeting)

        threading.Thread(target=accept, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.close()


def test_the_identification_string_is_the_answer(serve: Serve) -> None:
    port = serve([b"SSH-2.0-OpenSSH_9.6p1 Ubuntu\r\n"])
    result = ssh.run({"host": "127.0.0.1", "port": port, "wait_timeout": 5}, False)
    assert (result["changed"], result["banner"]) == (False, "SSH-2.0-OpenSSH_9.6p1 Ubuntu")


def test_lines_may_come_before_it(serve: Serve) -> None:
    port = serve([b"Authorised use only\r\nSSH-2.0-dropbear\r\n"])
    assert ssh.run({"host": "127.0.0.1", "port": port, "wait_timeout": 5}, False)["banner"] == "SSH-2.0-dropbear"


def test_a_machine_that_still_boots_is_waited_for(serve: Serve) -> None:
    port = serve([None, None, b"SSH-2.0-later\r\n"])
    assert ssh.run({"host": "127.0.0.1", "port": port, "wait_timeout": 20}, False)["banner"] == "SSH-2.0-later"


def test_what_is_not_ssh_never_counts(serve: Serve) -> None:
    port = serve([b"HTTP/1.1 400 Bad Request\r\n\r\n"] * 50)
    with pytest.raises(errors.DeadlineExceeded) as caught:
        ssh.run({"host": "127.0.0.1", "port": port, "wait_timeout": 1}, False)
    assert caught.value.code == "unreachable"
    assert "HTTP/1.1 400" in str(caught.value.answer)


def test_nothing_is_waited_for_in_check_mode() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    result = ssh.run({"host": "127.0.0.1", "port": port, "wait_timeout": 600}, True)
    assert (result["changed"], result["banner"]) == (False, None)
