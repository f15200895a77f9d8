"""Sessions, connections and headers as vendors' BMCs want them: what is sent once, again, or never."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_boot as boot
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_event_subscription as events
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_info as info
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_log_info as logs
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_metrics_info as metrics
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_power as power
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.transport import RedfishTransport
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    Busy,
    DeadlineExceeded,
)
from replay import PASSWORD, SESSIONS, USERNAME, Asked, Reply, error

SYSTEM = "/redfish/v1/Systems/1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
TREE = {
    "/redfish/v1": {"Vendor": "Contoso"},
    "/redfish/v1/Systems": {"Members": [{"@odata.id": SYSTEM}], "Members@odata.count": 1},
    SYSTEM: {"@odata.id": SYSTEM, "@odata.etag": '"7"', "Id": "1", "PowerState": "On"},
}


def transport(bmc: Any, certs: Any) -> RedfishTransport:
    return RedfishTransport("127.0.0.1", bmc.port, USERNAME, PASSWORD, ca_path=str(certs.ca))


# -- sessions


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_a_session_of_thirty_seconds_is_renewed_once_and_the_request_repeated(
    start_replay: Any, certs: Any, method: str
) -> None:
    """A 401 says that nothing was done, so a write may follow too (DGX and iLO end sessions after 30 s of silence)."""
    bmc = start_replay(TREE)
    done: list[str] = []

    def respond(asked: Asked) -> Reply | None:
        if asked.path != RESET and asked.method != "PATCH":
            return None
        if asked.headers.get("X-Auth-Token") not in bmc.sessions:
            return Reply(401, {})
        done.append(asked.method)
        return Reply(204)

    bmc.respond = respond
    client = transport(bmc, certs)
    try:
        client.get(SYSTEM, Deadline(3))
        bmc.sessions.clear()
        if method == "GET":
            assert client.get(SYSTEM, Deadline(3))["Id"] == "1"
        elif method == "POST":
            assert client.post(RESET, {"ResetType": "On"}, Deadline(3)).status == 204
        else:
            assert client.patch(SYSTEM, {"AssetTag": "x"}, Deadline(3), etag='"7"').status == 204
        assert bmc.opened == 2 and done == [method] * (method != "GET")
    finally:
        client.close()
    assert not bmc.sessions


@pytest.mark.parametrize(
    ("status", "message_id"),
    [
        (503, "IDRAC.2.8.RAC0218"),  # iDRAC: 8
        (400, "IDRAC.2.1.RAC0218"),
        (503, "Base.1.12.SessionLimitExceeded"),
        (400, "Base.1.8.SessionLimitExceeded"),  # XCC: 16
        (503, "Base.1.8.GeneralError"),
    ],
)
def test_a_bmc_whose_sessions_are_all_taken_says_what_to_do(start_replay: Any, status: int, message_id: str) -> None:
    refusal = Reply(status, error(message_id, "The maximum number of user sessions is reached."))
    bmc = start_replay(TREE, lambda asked: refusal if asked.path == SESSIONS else None)
    with pytest.raises(Busy) as caught:
        info.run(bmc.params(subset=["system"]), False)
    assert caught.value.code == "sessions_exhausted" and caught.value.retryable
    assert "basic" in (caught.value.next or "")
    assert sum(asked.path == SESSIONS for asked in bmc.asked) == 1, "hammering does not free one"


def test_a_login_that_wants_another_password_first(start_replay: Any) -> None:
    refusal = Reply(403, error("Base.1.8.PasswordChangeRequired", "The password must be changed."))
    bmc = start_replay(TREE, lambda asked: refusal if asked.path == SESSIONS else None)
    with pytest.raises(AuthenticationError) as caught:
        info.run(bmc.params(subset=["system"]), False)
    assert caught.value.code == "password_change_required"


def test_one_session_a_task_and_none_is_left(start_replay: Any) -> None:
    bmc = start_replay(TREE)
    for run, options in (
        (info.run, {"subset": ["system", "bios", "managers", "capabilities"]}),
        (boot.run, {"target": "pxe", "persistence": "once"}),
        (power.run, {"state": "on", "wait": True, "wait_timeout": 2}),
    ):
        before = bmc.opened
        run(bmc.params(**options), True)
        assert bmc.opened - before <= 1 and not bmc.sessions


def test_the_session_is_ended_after_a_timeout_too(start_replay: Any) -> None:
    ended = threading.Event()

    def hang(asked: Asked) -> Reply | None:
        if asked.path == SYSTEM:
            ended.wait(10)
        return None

    bmc = start_replay(TREE, hang)
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        info.run(bmc.params(subset=["power"], bmc_auth="session", bmc_timeout=1), False)
    assert time.monotonic() - started < 7.5
    ended.set()
    assert bmc.opened == 1 and not bmc.sessions and any(line.startswith("DELETE") for line in bmc.requests())


def test_the_session_is_ended_after_an_error_of_ours_too(start_replay: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bmc = start_replay(TREE)

    def fail(*args: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(boot, "_wanted", fail)
    with pytest.raises(ZeroDivisionError):
        boot.run(bmc.params(target="pxe", persistence="once"), False)
    assert bmc.opened == 1 and not bmc.sessions


def test_the_password_is_sent_once_a_session_and_never_beside_the_token(start_replay: Any) -> None:
    bmc = start_replay(TREE)
    info.run(bmc.params(subset=["system", "capabilities"]), False)
    (login,) = [asked for asked in bmc.asked if asked.path == SESSIONS]
    assert "Authorization" not in login.headers and login.body["Password"] == PASSWORD
    others = [asked for asked in bmc.asked if asked is not login]
    assert others and all("Authorization" not in asked.headers for asked in others if "X-Auth-Token" in asked.headers)


# -- connections


def test_a_reused_connection_that_is_reset_costs_a_read_one_more_try(start_replay: Any, certs: Any) -> None:
    bmc = start_replay(TREE)
    client = transport(bmc, certs)
    client.get(SYSTEM, Deadline(3))
    resets = [Reply(0)]
    bmc.respond = lambda asked: resets.pop() if resets and asked.path == SYSTEM else None
    bmc.asked.clear()
    assert client.get(SYSTEM, Deadline(3))["Id"] == "1"
    assert bmc.requests("GET") == [f"GET {SYSTEM}"] * 2
    client.close()


def test_a_reused_connection_that_is_reset_under_a_write_is_not_written_to_again(start_replay: Any, certs: Any) -> None:
    bmc = start_replay(TREE)
    client = transport(bmc, certs)
    client.get(SYSTEM, Deadline(3))
    bmc.respond = lambda asked: Reply(0) if asked.method in ("POST", "PATCH") else None
    for write in (
        lambda: client.post(RESET, {"ResetType": "On"}, Deadline(3)),
        lambda: client.patch(SYSTEM, {"AssetTag": "x"}, Deadline(3), etag='"7"'),
    ):
        bmc.asked.clear()
        with pytest.raises(AnswerLost):
            write()
        assert len(bmc.requests("POST", "PATCH")) == 1
    client.close()


# -- headers


def test_tags_are_asked_for_uncompressed_because_compression_makes_them_weak(start_replay: Any, certs: Any) -> None:
    """The lab of many vendors' firmware: W/"7" for a compressed answer, "7" for the other, and If-Match wants "7"."""

    def respond(asked: Asked) -> Reply | None:
        if asked.method == "PATCH":
            return Reply(204) if asked.headers.get("If-Match") == '"7"' else Reply(412, {})
        if asked.path == SYSTEM:
            weak = "gzip" in asked.headers.get("Accept-Encoding", "")
            return Reply(200, {"@odata.id": SYSTEM, "Id": "1"}, {"ETag": 'W/"7"' if weak else '"7"'})
        return None

    bmc = start_replay(TREE, respond)
    client = transport(bmc, certs)
    _body, etag = client.get_with_etag(SYSTEM, Deadline(3))
    assert etag == '"7"'
    client.patch(SYSTEM, {"AssetTag": "x"}, Deadline(3), etag=etag)
    assert len(bmc.requests("PATCH")) == 1
    assert {asked.headers.get("Accept-Encoding") for asked in bmc.asked} == {"identity"}
    client.close()


def test_what_is_served_only_compressed_is_asked_for_so_and_only_that(start_replay: Any, certs: Any) -> None:
    """iLO answers its registries 406 otherwise."""
    import gzip

    registry = "/redfish/v1/RegistryStore/registries/en/Biosattributeregistry.json"

    def respond(asked: Asked) -> Reply | None:
        if asked.path != registry:
            return None
        if asked.headers.get("Accept-Encoding") != "gzip":
            return Reply(406, {})
        return Reply(200, gzip.compress(b'{"Id": "registry"}'), {"Content-Encoding": "gzip"})

    bmc = start_replay(TREE, respond)
    client = transport(bmc, certs)
    assert client.get(registry, Deadline(3))["Id"] == "registry"
    assert client.get(registry, Deadline(3))["Id"] == "registry"
    assert [asked.headers["Accept-Encoding"] for asked in bmc.asked if asked.path == registry] == [
        "identity",
        "gzip",
        "gzip",
    ]
    client.get(SYSTEM, Deadline(3))
    assert bmc.asked[-1].headers["Accept-Encoding"] == "identity"
    client.close()


def test_nothing_is_expanded_on_ami(start_replay: Any, dgx_capture: Any) -> None:
    """Its $expand drops Id, Name and ChassisType."""
    bmc = start_replay(dgx_capture)
    entry = {name.removeprefix("bmc_"): value for name, value in bmc.params().items()}
    info.run(bmc.params(subset=None), True)
    logs.run(bmc.params(logs=["sel", "xid", "lifecycle"], cursor=None, limit=5), True)
    boot.run(bmc.params(target="pxe", persistence="once"), True)
    power.run(bmc.params(state="off", wait=True, wait_timeout=5), True)
    subscription = {"state": "present", "destination": "https://a.example/x", "context": "x", "protocol": "Redfish"}
    events.run(bmc.params(**subscription), True)
    options = {"concurrency": 1, "timeout": 10, "store": False, "rounds": 1, "interval": 0.0, "subset": ["metrics"]}
    metrics.run({"bmcs": [entry], **options}, True)
    assert len(bmc.asked) > 40
    assert not [line for line in bmc.requests() if "expand" in line.lower()]
