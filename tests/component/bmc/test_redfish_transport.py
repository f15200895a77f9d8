"""What can go wrong between us and a Redfish service, and that it ends as a typed error within the deadline."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_info as info
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.transport import RedfishTransport
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    BadAnswer,
    Busy,
    Conflict,
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    PaleBlueDotError,
    Unreachable,
)
from replay import PASSWORD, USERNAME, Asked, Reply, error

SYSTEM = "/redfish/v1/Systems/1"
TREE = {
    "/redfish/v1": {"Vendor": "Contoso", "Systems": {"@odata.id": "/redfish/v1/Systems"}},
    "/redfish/v1/Systems": {"Members": [{"@odata.id": SYSTEM}], "Members@odata.count": 1},
    SYSTEM: {"@odata.id": SYSTEM, "@odata.etag": 'W/"7"', "Id": "1", "PowerState": "On"},
}


@contextmanager
def transport(bmc: Any, certs: Any, **options: Any) -> Iterator[RedfishTransport]:
    made = RedfishTransport("127.0.0.1", bmc.port, USERNAME, PASSWORD, **{"ca_path": str(certs.ca), **options})
    try:
        yield made
    finally:
        made.close()


def read_power(params: dict[str, Any]) -> PaleBlueDotError:
    """The error of reading the power state, which has to come within the deadline and name the host."""
    started = time.monotonic()
    with pytest.raises(PaleBlueDotError) as caught:
        info.run({**params, "subset": ["power"]}, False)
    assert time.monotonic() - started < params["bmc_timeout"] + 5
    problem = caught.value
    assert problem.host == f"127.0.0.1:{params['bmc_port']}"
    assert problem.tried and problem.answer and problem.next
    return problem


# -- below HTTP


def test_a_bmc_that_hangs_after_the_connection(raw_bmc: Any) -> None:
    problem = read_power(raw_bmc(lambda connection, ended: ended.wait()))
    assert isinstance(problem, DeadlineExceeded) and problem.retryable


def test_a_bmc_that_hangs_before_tls(raw_bmc: Any) -> None:
    problem = read_power(raw_bmc(lambda connection, ended: ended.wait(), tls=False))
    assert isinstance(problem, Unreachable)


@pytest.mark.parametrize("opening", [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", b"HTTP/1.1 200 OK\r\nX: "])
def test_a_bmc_that_drips_is_cut_off_at_the_deadline(raw_bmc: Any, opening: bytes) -> None:
    def drip(connection: Any, ended: Any) -> None:
        connection.recv(4096)
        connection.sendall(opening)
        while not ended.wait(0.1):  # each byte comes well within any read timeout
            connection.sendall(b" ")

    assert isinstance(read_power(raw_bmc(drip)), DeadlineExceeded)


def test_a_bmc_that_refuses(raw_bmc: Any) -> None:
    params = raw_bmc(lambda connection, ended: None)
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        problem = read_power({**params, "bmc_port": free.getsockname()[1]})
    assert isinstance(problem, Unreachable) and problem.code == "unreachable"


def test_a_bmc_that_drops_the_connection_is_asked_again(raw_bmc: Any) -> None:
    seen: list[bytes] = []

    def drop(connection: Any, ended: Any) -> None:
        seen.append(connection.recv(4096))

    problem = read_power({**raw_bmc(drop), "bmc_timeout": 3})
    assert isinstance(problem, Unreachable) and problem.code == "connection_dropped"
    assert len(seen) == 3


def test_a_bmc_that_speaks_something_else(raw_bmc: Any) -> None:
    def ssh(connection: Any, ended: Any) -> None:
        connection.recv(4096)
        connection.sendall(b"SSH-2.0-dropbear\r\n")

    problem = read_power({**raw_bmc(ssh), "bmc_timeout": 3})
    assert isinstance(problem, BadAnswer) and "HTTP" in problem.message


def test_an_answer_that_breaks_off(raw_bmc: Any) -> None:
    def half(connection: Any, ended: Any) -> None:
        connection.recv(4096)
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"Members"')

    problem = read_power({**raw_bmc(half), "bmc_timeout": 3})
    assert isinstance(problem, Unreachable)


def test_an_endless_answer_is_not_swallowed(raw_bmc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish import https

    monkeypatch.setattr(https, "LARGEST_ANSWER_BYTES", 100_000)

    def flood(connection: Any, ended: Any) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not ended.is_set():
            connection.sendall(b" " * 10_000)

    problem = read_power({**raw_bmc(flood), "bmc_timeout": 5})
    assert isinstance(problem, BadAnswer) and "larger than" in str(problem)


# -- certificates


def test_a_certificate_of_an_unknown_authority_is_refused(start_replay: Any) -> None:
    bmc = start_replay(TREE)
    problem = read_power(bmc.params(bmc_ca_path=None))
    assert (problem.code, problem.retryable) == ("tls_failed", False)
    assert "bmc_ca_path" in (problem.next or "")
    assert not bmc.asked


def test_a_pinned_certificate_needs_no_authority(start_replay: Any, certs: Any) -> None:
    bmc = start_replay(TREE)
    pretty = ":".join(certs.fingerprint[n : n + 2].upper() for n in range(0, 64, 2))
    for pin in (certs.fingerprint, pretty, f"sha256 Fingerprint={pretty}"):
        info.run(bmc.params(bmc_ca_path=None, bmc_fingerprint=pin, subset=["power"]), False)
    bmc.asked.clear()
    problem = read_power(bmc.params(bmc_ca_path=None, bmc_fingerprint="00" * 32))
    assert problem.code == "tls_failed" and certs.fingerprint in (problem.answer or "")
    assert not bmc.asked, "nothing may be sent to a BMC that is not the one"


def test_a_fingerprint_that_is_none_is_bad_input(start_replay: Any) -> None:
    with pytest.raises(InvalidInput):
        info.run(start_replay(TREE).params(bmc_fingerprint="abc", subset=["power"]), False)


def test_the_environment_decides_nothing(
    start_replay: Any, certs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    bmc = start_replay(TREE)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login other password wrong\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certs.ca))
    info.run(bmc.params(subset=["power"]), False)
    assert isinstance(read_power(bmc.params(bmc_ca_path=None)), Unreachable), "the CA came from the environment"


def test_validation_can_be_switched_off_and_ipv6_works(start_replay: Any) -> None:
    bmc = start_replay(TREE, host="::1")
    for address in ("::1", "[::1]"):
        options = {"bmc_address": address, "bmc_ca_path": None, "bmc_validate_certs": False, "subset": ["power"]}
        assert info.run(bmc.params(**options), False)["bmc"]["power_state"] == "On"
    assert bmc.asked[0].headers["Host"] == f"[::1]:{bmc.port}"


# -- logging in


def test_a_wrong_password_is_tried_twice_at_most(start_replay: Any) -> None:
    bmc = start_replay(TREE)
    problem = read_power(bmc.params(bmc_password="wrong"))
    assert isinstance(problem, AuthenticationError) and not problem.retryable
    assert "wrong" not in str(problem)
    assert len(bmc.asked) == 2, "once as basic, once as session: BMCs lock the account after three"


def test_where_basic_is_switched_off_a_session_is_opened(start_replay: Any) -> None:
    bmc = start_replay(TREE)
    bmc.basic_allowed = False
    assert info.run(bmc.params(subset=["power"]), False)["bmc"]["power_state"] == "On"
    assert bmc.opened == 1 and not bmc.sessions


def test_the_session_is_ended_when_the_operation_fails(start_replay: Any) -> None:
    def respond(asked: Asked) -> Reply | None:
        return Reply(500, {}) if asked.path == SYSTEM else None

    bmc = start_replay(TREE, respond)
    problem = read_power(bmc.params(bmc_auth="session"))
    assert isinstance(problem, BadAnswer)
    assert bmc.opened == 1 and not bmc.sessions


def test_a_session_that_ran_out_is_renewed_once(start_replay: Any, certs: Any) -> None:
    bmc = start_replay(TREE)
    with transport(bmc, certs) as client:
        client.get(SYSTEM, Deadline(3))
        bmc.sessions.clear()
        assert client.get(SYSTEM, Deadline(3))["PowerState"] == "On"
        assert bmc.opened == 2
        bmc.respond = lambda asked: Reply(401, {}) if asked.method == "GET" else None
        with pytest.raises(AuthenticationError):
            client.get(SYSTEM, Deadline(3))
        assert bmc.opened == 3, "a BMC that keeps refusing is not asked for ever"


def test_the_login_carries_no_basic_authentication(start_replay: Any, certs: Any) -> None:
    # the replay refuses such a login, as some BMCs do
    bmc = start_replay(TREE)
    bmc.basic_allowed = False
    with transport(bmc, certs, auth="auto") as client:
        client.get(SYSTEM, Deadline(3))


@pytest.mark.parametrize("challenge", ['Basic realm="Redfish"', 'X-Token, basic realm="Redfish"'])
def test_a_wrong_password_is_sent_once(start_replay: Any, certs: Any, challenge: str) -> None:
    """Where basic is offered it is the pair that was refused: a login with it would count a second time."""
    bmc = start_replay(TREE, lambda asked: Reply(401, {}, {"WWW-Authenticate": challenge}))
    with transport(bmc, certs, auth="auto") as client, pytest.raises(AuthenticationError):
        client.get(SYSTEM, Deadline(3))
    assert bmc.requests() == [f"GET {SYSTEM}"]


def test_where_another_way_in_is_offered_it_is_taken(start_replay: Any, certs: Any) -> None:
    def respond(asked: Asked) -> Reply | None:
        refused = asked.path == SYSTEM and "X-Auth-Token" not in asked.headers
        return Reply(401, {}, {"WWW-Authenticate": 'X-Token realm="no Basic here"'}) if refused else None

    bmc = start_replay(TREE, respond)
    with transport(bmc, certs, auth="auto") as client:
        assert client.get(SYSTEM, Deadline(3))["Id"] == "1"
    assert bmc.opened == 1


def test_a_service_without_sessions_gets_basic(start_replay: Any, certs: Any) -> None:
    def respond(asked: Asked) -> Reply | None:
        return Reply(404, {}) if "Session" in asked.path else None

    bmc = start_replay(TREE, respond)
    with transport(bmc, certs) as client:
        assert client.get(SYSTEM, Deadline(3))["Id"] == "1"


def test_a_password_that_has_to_be_changed_is_its_own_error(start_replay: Any, certs: Any) -> None:
    body = error("Base.1.8.PasswordChangeRequired", "Change it.")
    bmc = start_replay(TREE, lambda asked: Reply(403, body))
    with transport(bmc, certs) as client, pytest.raises(AuthenticationError) as caught:
        client.get(SYSTEM, Deadline(3))
    assert caught.value.code == "password_change_required"


# -- answers


def test_nonsense_is_told_from_resources(start_replay: Any) -> None:
    for body in (b"<html>login</html>", b"[1, 2]", b"", b'{"unfinished'):
        bmc = start_replay(TREE, lambda asked, body=body: Reply(200, body))
        assert isinstance(read_power(bmc.params()), BadAnswer)


def test_resources_of_the_wrong_shape_are_read_as_unknown(start_replay: Any) -> None:
    shapes: list[dict[str, Any]] = [
        {"Id": "1"},
        {"PowerState": None},
        {"PowerState": 7},
        {"PowerState": "Sideways"},
        {"PowerState": {"value": "On"}},
    ]
    for shape in shapes:
        bmc = start_replay({**TREE, SYSTEM: shape})
        assert info.run(bmc.params(subset=["power"]), False)["bmc"]["power_state"] is None
    for members in (None, "none", [None, {}, {"@odata.id": 5}], []):
        bmc = start_replay({**TREE, "/redfish/v1/Systems": {"Members": members}})
        assert isinstance(read_power(bmc.params()), NotFound)


def test_everything_may_be_missing_at_once(start_replay: Any) -> None:
    bare = {"@odata.id": SYSTEM, "Links": "broken", "Boot": [], "Actions": None, "Oem": 3, "MemorySummary": "lots"}
    bmc = start_replay({**TREE, "/redfish/v1": {"Oem": []}, SYSTEM: bare})
    found = info.run(bmc.params(subset=None), False)["bmc"]
    assert found["manufacturer"] is None and found["memory_gb"] is None and found["gpus"] == []
    assert found["capabilities"]["profile"] == "generic"


def test_an_ambiguous_bmc_asks_for_system_id(start_replay: Any) -> None:
    blades = [{"@odata.id": f"/redfish/v1/Systems/Blade{n}"} for n in (1, 2)]
    bmc = start_replay({**TREE, "/redfish/v1/Systems": {"Members": blades}})
    problem = read_power(bmc.params())
    assert problem.code == "ambiguous_system" and problem.answer == "Blade1, Blade2"
    wrong = read_power(bmc.params(system_id="Blade7"))
    assert isinstance(wrong, NotFound) and "Blade1, Blade2" in (wrong.answer or "")


def test_a_redirect_within_the_bmc_is_followed_and_one_elsewhere_is_not(start_replay: Any, certs: Any) -> None:
    bmc = start_replay(TREE)
    bmc.respond = lambda asked: Reply(308, None, {"Location": SYSTEM}) if asked.path == "/redfish/v1/old" else None
    with transport(bmc, certs) as client:
        assert client.get("/redfish/v1/old", Deadline(3))["Id"] == "1"
    other = start_replay(TREE)
    there = f"https://127.0.0.1:{other.port}{SYSTEM}"
    bmc.respond = lambda asked: Reply(302, None, {"Location": there}) if asked.path == SYSTEM else None
    with (
        transport(bmc, certs) as client,
        pytest.raises(BadAnswer, match=f"redirected to https://127.0.0.1:{other.port}/"),
    ):
        client.get(SYSTEM, Deadline(3))
    assert not other.asked, "the session's token must not travel"


def test_pages_are_followed_and_end(start_replay: Any, certs: Any) -> None:
    pages = {
        "/redfish/v1/Sensors": {
            "Members": [{"@odata.id": "/a"}],
            "Members@odata.nextLink": "/redfish/v1/Sensors?$skip=1",
            "Members@odata.count": 3,
        },
        "/redfish/v1/Sensors?$skip=1": {
            "Members": [{"@odata.id": "/b"}, {"@odata.id": "/a"}],
            "Members@odata.nextLink": "/redfish/v1/Sensors?$skip=1",
            "Members@odata.count": 3,
        },
    }
    bmc = start_replay(pages)
    with transport(bmc, certs) as client:
        assert client.members("/redfish/v1/Sensors", Deadline(3)) == ["/a", "/b"]


def test_a_busy_bmc_is_waited_for_as_long_as_it_says(start_replay: Any, certs: Any) -> None:
    bmc = start_replay(TREE)
    replies = [Reply(503, {}, {"Retry-After": "1"})]
    bmc.respond = lambda asked: replies.pop() if asked.path == SYSTEM and replies else None
    slept: list[float] = []
    with transport(bmc, certs, sleep=slept.append) as client:
        assert client.get(SYSTEM, Deadline(5))["Id"] == "1"
        assert 1 <= slept[0] < 1.2
        replies.append(Reply(503, {}, {"Retry-After": "600"}))
        with pytest.raises(Busy):
            client.get(SYSTEM, Deadline(5))


@pytest.mark.parametrize("status", [409, 412])
def test_a_write_that_is_to_come_later_is_sent_later(start_replay: Any, certs: Any, status: int) -> None:
    bmc = start_replay(TREE)
    replies = [Reply(204), Reply(status, {}, {"Retry-After": "2"})]
    bmc.respond = lambda asked: replies.pop() if asked.method == "PATCH" else None
    slept: list[float] = []
    with transport(bmc, certs, sleep=slept.append) as client:
        assert client.patch(SYSTEM, {"AssetTag": "x"}, Deadline(5), etag='W/"7"').status == 204
        assert len(slept) == 1 and 2 <= slept[0] < 2.2
        assert [asked.headers["If-Match"] for asked in bmc.asked if asked.method == "PATCH"] == ['W/"7"'] * 2
        replies.append(Reply(409, {}))
        with pytest.raises(Conflict):
            client.patch(SYSTEM, {"AssetTag": "x"}, Deadline(5))
        assert len(slept) == 1, "without a time it is a refusal"


# -- writing


def test_a_write_whose_answer_is_lost_is_not_sent_again(start_replay: Any, certs: Any) -> None:
    bmc = start_replay(TREE)
    bmc.respond = lambda asked: Reply(0) if asked.path.endswith("Reset") else None
    with transport(bmc, certs) as client, pytest.raises(AnswerLost) as caught:
        client.post(f"{SYSTEM}/Actions/Reset", {"ResetType": "PowerCycle"}, Deadline(2))
    assert not caught.value.retryable
    assert sum(asked.path.endswith("Reset") for asked in bmc.asked) == 1


def test_the_etag_ladder(start_replay: Any, certs: Any) -> None:
    accepts = {"tag": ""}

    def respond(asked: Asked) -> Reply | None:
        if asked.method != "PATCH":
            return None
        return Reply(204) if asked.headers.get("If-Match", "") == accepts["tag"] else Reply(412, {})

    bmc = start_replay(TREE, respond)
    with transport(bmc, certs) as client:
        for tag, tries in (('W/"7"', 1), ('"7"', 2), ("", 3)):
            accepts["tag"] = tag
            bmc.asked.clear()
            _, etag = client.get_with_etag(SYSTEM, Deadline(3))
            assert client.patch(SYSTEM, {"AssetTag": "x"}, Deadline(3), etag=etag).status == 204
            assert len(bmc.requests("PATCH")) == tries
        accepts["tag"] = "never"
        with pytest.raises(Conflict):
            client.patch(SYSTEM, {"AssetTag": "x"}, Deadline(3), etag=etag)


@pytest.mark.parametrize("sent", ['W/"6"', '"6"'])
def test_what_somebody_else_has_changed_is_not_written_over(start_replay: Any, certs: Any, sent: str) -> None:
    """The BMC takes whatever carries no If-Match; the resource has the tag 7 by now."""

    def respond(asked: Asked) -> Reply | None:
        if asked.method != "PATCH":
            return None
        return Reply(412, {}) if "If-Match" in asked.headers else Reply(204)

    bmc = start_replay(TREE, respond)
    with transport(bmc, certs) as client, pytest.raises(Conflict) as caught:
        client.patch(SYSTEM, {"AssetTag": "x"}, Deadline(3), etag=sent)
    assert caught.value.code == "precondition_failed" and caught.value.retryable
    assert [asked.headers.get("If-Match") for asked in bmc.asked if asked.method == "PATCH"] == [sent]


@pytest.mark.parametrize("header", [{}, {"ETag": '"else"'}], ids=["no tag", "another tag in the header"])
def test_a_tag_that_is_refused_without_a_change_is_dropped(
    start_replay: Any, certs: Any, header: dict[str, str]
) -> None:
    def respond(asked: Asked) -> Reply | None:
        if asked.method == "PATCH":
            return Reply(412, {}) if "If-Match" in asked.headers else Reply(204)
        body = {"Id": "1", **({"@odata.etag": '"6"'} if header else {})}
        return Reply(200, body, header) if asked.path == SYSTEM else None

    bmc = start_replay(TREE, respond)
    with transport(bmc, certs) as client:
        assert client.patch(SYSTEM, {"AssetTag": "x"}, Deadline(3), etag='"6"').status == 204
