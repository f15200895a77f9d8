"""``bmc_discover`` against BMCs, things that are none, silence, and the lab's presence pong."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.discovery import scan as scanning
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_discover
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import PaleBlueDotError

from lab.rmcp import presence_pong

ROOT = {
    "@odata.id": "/redfish/v1",
    "@odata.type": "#ServiceRoot.v1_13_0.ServiceRoot",
    "RedfishVersion": "1.11.0",
    "Vendor": "AMI",
    "Product": "AMI Redfish Server",
    "UUID": "92384634-2938-2342-8820-489239905423",
}


def discover(*addresses: str, **options: Any) -> dict[str, Any]:
    params = {
        "ranges": [],
        "addresses": list(addresses),
        "ports": [443],
        "ipmi": False,
        "ipmi_port": 623,
        "concurrency": 64,
        "timeout": 2.0,
        "limit": 65536,
        "public": False,
        **options,
    }
    return bmc_discover.run(params, False)


@pytest.fixture
def dropping() -> Iterator[str]:
    """An address and port that answers a SYN with nothing: its accept queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.9", 0))
        listener.listen(0)
        with socket.create_connection(listener.getsockname(), 5):
            yield "{}:{}".format(*listener.getsockname())


def test_a_bmc_is_found_by_its_service_root_without_a_login(start_replay: Any, certs: Any) -> None:
    bmc = start_replay({"/redfish/v1": ROOT})
    answer = discover(f"127.0.0.1:{bmc.port}")
    (found,) = answer["found"]
    assert found == {
        "address": "127.0.0.1",
        "port": bmc.port,
        "protocol": "redfish",
        "name": None,
        "vendor": "AMI",
        "product": "AMI Redfish Server",
        "profile": "ami",
        "redfish_version": "1.11.0",
        "uuid": "92384634-2938-2342-8820-489239905423",
        "serial_number": None,
        "fingerprint": certs.fingerprint,
        "tls": "TLSv1.3",
        "mac": None,
        "ipmi": False,
    }
    assert answer["changed"] is False
    assert bmc.requests() == ["GET /redfish/v1/"]
    assert "Authorization" not in bmc.asked[0].headers


def test_the_fingerprint_found_is_the_one_that_can_be_pinned(start_replay: Any) -> None:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_info

    system = "/redfish/v1/Systems/1"
    tree = {
        "/redfish/v1": ROOT,
        "/redfish/v1/Systems": {"Members": [{"@odata.id": system}]},
        system: {"@odata.id": system, "Id": "1", "PowerState": "On"},
    }
    bmc = start_replay(tree)
    (found,) = discover(f"127.0.0.1:{bmc.port}")["found"]
    pinned = bmc.params(bmc_ca_path=None, bmc_fingerprint=found["fingerprint"], subset=["power"])
    assert bmc_info.run(pinned, False)["bmc"]["power_state"] == "On"


def test_a_dell_shows_its_service_tag_to_everybody(start_replay: Any) -> None:
    oem = {"Dell": {"ServiceTag": "7XQ4M92", "ManagerMACAddress": "aa:bb"}}
    bmc = start_replay({"/redfish/v1": {**ROOT, "Vendor": "Dell", "Oem": oem}})
    (found,) = discover(f"127.0.0.1:{bmc.port}")["found"]
    assert (found["profile"], found["serial_number"]) == ("dell_idrac", "7XQ4M92")


def test_the_captures_are_recognised(dell_capture: Any, hpe_capture: Any, dgx_capture: Any, start_replay: Any) -> None:
    bmcs = [start_replay(capture) for capture in (dell_capture, hpe_capture, dgx_capture)]
    found = discover(*(f"127.0.0.1:{bmc.port}" for bmc in bmcs))["found"]
    assert [each["profile"] for each in found] == ["dell_idrac", "hpe_ilo", "ami"]
    assert all(each["uuid"] or each["vendor"] == "Dell" for each in found)
    assert found[0]["serial_number"]


def test_a_service_that_shows_its_root_to_nobody_is_still_one(start_replay: Any) -> None:
    def respond(asked: Any) -> Any:
        from replay import Reply

        return Reply(401, {}, {"OData-Version": "4.0"})

    bmc = start_replay({}, respond)
    answer = discover(f"127.0.0.1:{bmc.port}")
    assert answer["counts"]["redfish"] == 1
    assert answer["found"][0]["vendor"] is None and answer["found"][0]["fingerprint"]


def says(reply: bytes) -> Any:
    def talk(connection: Any, ended: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(reply)

    return talk


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>",
        b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"a": "b"}   ',
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFF\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"x" * 200_000,
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
        b"",
    ],
)
def test_what_is_no_redfish_service_is_something_else(raw_bmc: Any, reply: bytes) -> None:
    port = raw_bmc(says(reply))["bmc_port"]
    answer = discover(f"127.0.0.1:{port}")
    assert answer["found"] == []
    assert answer["counts"]["other"] == 1
    assert [other["port"] for other in answer["others"]] == [port]


def test_chunked_and_unbounded_bodies_are_read(raw_bmc: Any) -> None:
    body = b'{"RedfishVersion": "1.6.0"}'
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    ports = [raw_bmc(says(reply))["bmc_port"] for reply in (chunked, b"HTTP/1.1 200 OK\r\n\r\n" + body)]
    found = discover(*(f"127.0.0.1:{port}" for port in ports))["found"]
    assert [each["redfish_version"] for each in found] == ["1.6.0", "1.6.0"]


def test_no_tls_and_a_hang_are_told_apart_from_silence(raw_bmc: Any, dropping: str) -> None:
    plain = raw_bmc(says(b"HTTP/1.0 400 Bad Request\r\n\r\n"), tls=False)["bmc_port"]
    hanging = raw_bmc(lambda connection, ended: ended.wait(20), tls=False)["bmc_port"]
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refused = closed.getsockname()[1]
    started = time.monotonic()
    answer = discover(f"127.0.0.2:{refused}", f"127.0.0.1:{hanging}", dropping, timeout=1.0)
    assert time.monotonic() - started < 9
    assert answer["counts"] == {
        "addresses": 3, "redfish": 0, "ipmi": 0, "other": 1, "refused": 1, "silent": 1, "unreachable": 0,
    }  # fmt: skip
    assert answer["others"] == [
        {"address": "127.0.0.1", "port": hanging, "answer": "silence for 1 s after it took the connection"}
    ]
    assert discover(f"127.0.0.1:{plain}")["counts"]["other"] == 1


def test_silent_addresses_wait_beside_each_other(dropping: str, start_replay: Any) -> None:
    """Twenty of them cost what one costs, and the living do not wait for them."""
    port = int(dropping.rpartition(":")[2])
    kept = []
    for number in range(20, 40):
        listener = socket.socket()
        listener.bind((f"127.0.0.{number}", port))
        listener.listen(0)
        kept += [listener, socket.create_connection(listener.getsockname(), 5)]
    bmc = start_replay({"/redfish/v1": ROOT})
    started = time.monotonic()
    answer = discover(f"127.0.0.1:{bmc.port}", ranges=["127.0.0.20-127.0.0.39"], ports=[port])
    assert time.monotonic() - started < scanning.CONNECT_TIMEOUT_S + 5
    assert (answer["counts"]["redfish"], answer["counts"]["silent"]) == (1, 20)
    for sock in kept:
        sock.close()


def test_several_ports_are_tried_until_one_answers(start_replay: Any) -> None:
    bmc = start_replay({"/redfish/v1": ROOT})
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refused = closed.getsockname()[1]
    answer = discover("127.0.0.1", ports=[refused, bmc.port])
    assert [found["port"] for found in answer["found"]] == [bmc.port]
    assert answer["counts"]["redfish"] == 1 and answer["counts"]["refused"] == 0


def test_a_vendor_cannot_write_escapes_into_the_result(start_replay: Any) -> None:
    bmc = start_replay({"/redfish/v1": {**ROOT, "Vendor": "\x1b[2J" + "x" * 500, "Product": ["list"]}})
    (found,) = discover(f"127.0.0.1:{bmc.port}")["found"]
    assert "\x1b" not in found["vendor"] and len(found["vendor"]) == 200
    assert found["product"] is None


def test_no_sockets_left_is_said_and_not_taken_for_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none_left(*_: Any, **__: Any) -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(asyncio, "open_connection", none_left)
    with pytest.raises(PaleBlueDotError) as caught:
        discover("127.0.0.1")
    assert caught.value.code == "too_many_sockets"


def test_nothing_to_ask_is_an_error() -> None:
    with pytest.raises(PaleBlueDotError, match="no address to ask"):
        discover()


# -- IPMI


@pytest.fixture
def pinged() -> Iterator[Any]:
    """``pinged(answer)``: a UDP port on 127.0.0.5 that answers what ``answer(datagram)`` says; its port."""
    socks: list[socket.socket] = []

    def start(answer: Any) -> int:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.5", 0))
        sock.settimeout(10)
        socks.append(sock)

        def serve() -> None:
            while True:
                try:
                    data, client = sock.recvfrom(2048)
                except OSError:
                    return
                reply = answer(data)
                if reply is not None:
                    sock.sendto(reply, client)

        threading.Thread(target=serve, daemon=True).start()
        return int(sock.getsockname()[1])

    yield start
    for sock in socks:
        sock.close()


def refused_port() -> int:
    with socket.create_server(("127.0.0.5", 0)) as closed:
        return int(closed.getsockname()[1])


def test_a_bmc_without_redfish_is_found_by_its_presence_pong(pinged: Any) -> None:
    port = pinged(presence_pong)
    answer = discover("127.0.0.5", ports=[refused_port()], ipmi=True, ipmi_port=port)
    (found,) = answer["found"]
    assert (found["protocol"], found["port"], found["ipmi"]) == ("ipmi", port, True)
    assert answer["counts"]["ipmi"] == 1 and answer["counts"]["refused"] == 0


def test_a_ping_that_got_lost_is_sent_again(pinged: Any) -> None:
    heard: list[bytes] = []

    def second(data: bytes) -> bytes | None:
        heard.append(data)
        return presence_pong(data) if len(heard) > 1 else None

    port = pinged(second)
    assert discover("127.0.0.5", ports=[refused_port()], ipmi=True, ipmi_port=port)["counts"]["ipmi"] == 1
    assert len(heard) == 2, "and whoever has answered is left alone"


@pytest.mark.parametrize("reply", [b"", b"\x06\x00\xff\x06", b"x" * 40, presence_pong(scanning._PING)[:21]])  # type: ignore[index]
def test_what_is_no_pong_is_nobody(pinged: Any, reply: bytes) -> None:
    port = pinged(lambda data: reply)
    assert discover("127.0.0.5", ports=[refused_port()], ipmi=True, ipmi_port=port, timeout=0.5)["found"] == []


def test_a_device_that_pongs_and_has_no_ipmi_is_no_bmc() -> None:
    pong = bytearray(presence_pong(scanning._PING) or b"")
    assert scanning.is_ipmi_pong(bytes(pong))
    pong[20] &= 0x7F
    assert not scanning.is_ipmi_pong(bytes(pong))


def test_a_redfish_service_says_whether_it_answers_ipmi_too(start_replay: Any, pinged: Any) -> None:
    bmc = start_replay({"/redfish/v1": ROOT}, host="127.0.0.5")
    answer = discover(f"127.0.0.5:{bmc.port}", ipmi=True, ipmi_port=pinged(presence_pong))
    assert [(found["protocol"], found["ipmi"]) for found in answer["found"]] == [("redfish", True)]
