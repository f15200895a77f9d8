"""The client of the API: what it sends, what it makes of answers, when it tries again."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils import errors
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.client import ServiceClient
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.connection import is_away

ROOT = Path(__file__).parents[3]


def test_a_call_carries_the_token_and_the_protocol(talk: Any) -> None:
    asked = talk.expect("GET", "/api/v1/users/profile", answer={"id": "usr_1"}, headers={"X-Palebluedot-Protocol": "1"})
    client = talk.client()
    assert client.profile() == {"id": "usr_1"}
    assert asked.seen_headers["Authorization"] == "Bearer t0ken"
    assert asked.seen_headers["X-Palebluedot-Protocol"] == "1"


def test_calls_share_one_connection(talk: Any) -> None:
    asked = [talk.expect("GET", "/api/v1/alerts", answer={"items": [], "next_cursor": None}) for _ in range(3)]
    client = talk.client()
    for _ in range(3):
        list(client.alerts())
    assert len({exchange.client_port for exchange in asked}) == 1


def test_a_connection_that_ended_while_it_was_idle_costs_a_write_nothing(talk: Any) -> None:
    client = talk.client()
    talk.expect("GET", "/api/v1/users/profile", answer={"id": "usr_1"})
    client.profile()
    ours, theirs = socket.socketpair()
    client._connection.sock.close()
    client._connection.sock = ours
    theirs.close()
    talk.expect("POST", "/api/v1/servers", answer={"created": 1})
    assert client.request("POST", "/api/v1/servers", body={"servers": []}) == {"created": 1}


def test_a_list_is_read_to_its_end(talk: Any) -> None:
    talk.expect("GET", "/api/v1/servers?state=available", answer={"items": [{"name": "a"}], "next_cursor": "c1"})
    talk.expect(
        "GET", "/api/v1/servers?state=available&cursor=c1", answer={"items": [{"name": "b"}], "next_cursor": None}
    )
    assert [server["name"] for server in talk.client().servers(state="available", pool=None)] == ["a", "b"]


def test_names_cannot_reach_another_route(talk: Any) -> None:
    talk.expect("GET", "/api/v1/servers/..%2Ffleet%2Ffreeze", answer={})
    talk.client().server("../fleet/freeze")


def test_a_path_before_the_api_is_kept(talk: Any) -> None:
    talk.expect("GET", "/gpu/api/v1/users/quota", answer={})
    ServiceClient(f"{talk.url}/gpu/api/v1/", token="t").quota()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidInput),
        (401, errors.AuthenticationError),
        (403, errors.AuthenticationError),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (418, errors.InvalidInput),
        (422, errors.InvalidInput),
        (500, errors.BadAnswer),
    ],
)
def test_problem_documents_become_typed_errors(talk: Any, status: int, kind: type[errors.PaleBlueDotError]) -> None:
    talk.problem(
        "POST", "/api/v1/gpu/allocate", status, "some_code", detail="It went wrong", next="Mend it.", step="reserve"
    )
    with pytest.raises(kind) as caught:
        talk.client().allocate({"gpu_count": 8}, request="mine")
    assert caught.value.code == "some_code"
    assert caught.value.message == "It went wrong"
    assert caught.value.next == "Mend it."
    assert caught.value.step == "reserve"
    assert caught.value.details["status"] == status
    assert "POST" in str(caught.value.tried)


def test_an_answer_that_is_no_problem_document_is_still_told(talk: Any) -> None:
    talk.expect("GET", "/api/v1/users/quota", 404, b"<html>nginx</html>")
    with pytest.raises(errors.NotFound) as caught:
        talk.client().quota()
    assert "nginx" in str(caught.value.answer)


def test_an_answer_that_is_no_json_is_a_bad_answer(talk: Any) -> None:
    talk.expect("GET", "/api/v1/users/quota", 200, b"<html>hello</html>")
    with pytest.raises(errors.BadAnswer, match="not JSON"):
        talk.client().quota()


def test_a_read_survives_a_dropped_connection(talk: Any, no_pauses: list[float]) -> None:
    talk.expect("GET", "/api/v1/users/quota", None)
    talk.expect("GET", "/api/v1/users/quota", answer={"max_gpus": 8})
    assert talk.client().quota() == {"max_gpus": 8}
    assert len(no_pauses) == 1


def test_the_step_ledger_survives_a_dropped_connection(talk: Any, no_pauses: list[float]) -> None:
    path = "/api/v1/workflows/wf_1/steps/provision/servers/gpu-01/attempts/2"
    talk.expect("PUT", path, None)
    again = talk.expect("PUT", path, answer={"action": "run", "reason": None, "previous": None})
    assert talk.client().step("wf_1", "provision", "gpu-01", 2, {"phase": "begin", "fence": 3})["action"] == "run"
    assert again.body == {"phase": "begin", "fence": 3}


@pytest.mark.parametrize("broken_off", [-1, 0, 5])
def test_the_step_ledger_survives_an_answer_that_breaks_off(talk: Any, no_pauses: list[float], broken_off: int) -> None:
    """A service that is killed before the end of its answer; ``http.client`` takes that for the whole."""
    path = "/api/v1/workflows/wf_1/steps/provision/servers/gpu-01/attempts/2"
    said = {"action": "run", "reason": None, "previous": None}
    for cut in (broken_off, None):
        talk.expect("PUT", path, answer=said, broken_off=cut)
    assert talk.client().step("wf_1", "provision", "gpu-01", 2, {"phase": "end", "fence": 3}) == said
    talk.expect("POST", "/api/v1/thing", 201, said, broken_off=broken_off)
    with pytest.raises(errors.Unreachable, match="cannot be reached"):
        talk.client().request("POST", "/api/v1/thing", body={})


def test_a_reservation_is_repeated_under_the_same_key(talk: Any, no_pauses: list[float]) -> None:
    first = talk.expect("POST", "/api/v1/gpu/allocate", None)
    second = talk.expect("POST", "/api/v1/gpu/allocate", 202, {"allocation_id": "alloc_1"})
    talk.client().allocate({"gpu_count": 8}, request="mine")
    assert first.seen_headers["Idempotency-Key"] == second.seen_headers["Idempotency-Key"] == "mine"


def test_a_write_that_is_not_idempotent_is_not_repeated(talk: Any, no_pauses: list[float]) -> None:
    talk.expect("POST", "/api/v1/thing", None)
    with pytest.raises(errors.Unreachable):
        talk.client().request("POST", "/api/v1/thing", body={})
    assert no_pauses == []


def test_retry_after_is_obeyed(talk: Any, no_pauses: list[float]) -> None:
    talk.expect("GET", "/api/v1/users/quota", 429, {"code": "rate_limited"}, headers={"Retry-After": "2"})
    talk.expect("GET", "/api/v1/users/quota", 503, {"code": "unavailable"}, headers={"Retry-After": "1"})
    talk.expect("GET", "/api/v1/users/quota", answer={})
    talk.client().quota()
    assert no_pauses == [2.0, 1.0]


def test_retries_end(talk: Any, no_pauses: list[float]) -> None:
    for _ in range(4):
        talk.expect("GET", "/api/v1/users/quota", 503, {"code": "unavailable", "detail": "busy"})
    with pytest.raises(errors.Busy) as caught:
        talk.client().quota()
    assert is_away(caught.value)
    assert len(no_pauses) == 3
    assert all(0.05 < pause <= 7.5 for pause in no_pauses)


def test_a_pause_that_would_pass_the_deadline_is_not_made(talk: Any, no_pauses: list[float]) -> None:
    talk.expect("GET", "/api/v1/users/quota", 503, {"code": "unavailable"}, headers={"Retry-After": "60"})
    with pytest.raises(errors.Busy):
        talk.client(timeout=5).quota()
    assert no_pauses == []


def test_the_deadline_ends_a_call_that_hangs(talk: Any) -> None:
    talk.expect("GET", "/api/v1/users/quota", answer={}, delay_s=3)
    started = time.monotonic()
    with pytest.raises(errors.DeadlineExceeded) as caught:
        talk.client(timeout=0.3).quota()
    assert time.monotonic() - started < 7
    assert caught.value.retryable
    assert is_away(caught.value)


def test_nobody_listening_is_unreachable(no_pauses: list[float]) -> None:
    with pytest.raises(errors.Unreachable, match="cannot be reached") as caught:
        ServiceClient("http://127.0.0.1:9", token="t").quota()
    assert caught.value.code == "unreachable"
    assert caught.value.host == "127.0.0.1:9"
    assert is_away(caught.value)


@pytest.mark.parametrize("url", ["", "gpu.example.com", "ftp://gpu.example.com", "https://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(errors.InvalidInput, match="api_url"):
        ServiceClient(url)


def test_a_token_file_is_read_again_when_its_token_expired(talk: Any, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("old\n")
    client = talk.client(token=None, token_file=str(token_file))
    talk.expect("GET", "/api/v1/users/quota", answer={})
    client.quota()
    token_file.write_text("new\n")
    talk.problem("GET", "/api/v1/users/quota", 401, "token_expired")
    asked = talk.expect("GET", "/api/v1/users/quota", answer={})
    client.quota()
    assert asked.seen_headers["Authorization"] == "Bearer new"


def test_a_refused_token_is_not_sent_for_ever(talk: Any, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("same")
    talk.problem("GET", "/api/v1/users/quota", 401, "invalid_token")
    with pytest.raises(errors.AuthenticationError):
        talk.client(token=None, token_file=str(token_file)).quota()


def test_a_login_is_refreshed_when_it_expired(talk: Any) -> None:
    client = talk.client(token=None)
    talk.expect("POST", "/api/v1/auth/login", answer={"access_token": "a1", "refresh_token": "r1", "expires_in": 900})
    client.login("ada", "secret")
    talk.problem("GET", "/api/v1/users/quota", 401, "token_expired")
    refresh = talk.expect("POST", "/api/v1/auth/refresh", answer={"access_token": "a2", "expires_in": 900})
    asked = talk.expect("GET", "/api/v1/users/quota", answer={"max_gpus": 8})
    assert client.quota() == {"max_gpus": 8}
    assert refresh.seen_headers["Authorization"] == "Bearer r1"
    assert asked.seen_headers["Authorization"] == "Bearer a2"


@pytest.mark.parametrize("content", ["", "two\nlines"])
def test_a_token_file_must_hold_one_token(tmp_path: Path, content: str) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(content)
    with pytest.raises(errors.InvalidInput) as caught:
        ServiceClient("http://127.0.0.1:9", token_file=str(token_file)).quota()
    assert caught.value.code == "token_file_unreadable"


def test_a_missing_token_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInput, match="No such file"):
        ServiceClient("http://127.0.0.1:9", token_file=str(tmp_path / "none")).quota()


def test_ipv6_addresses_work(serve: Any, scripted_handler: Any, talk: Any) -> None:
    server = serve(scripted_handler(talk), host="::1")
    asked = talk.expect("GET", "/api/v1/users/quota", answer={})
    ServiceClient(f"http://[::1]:{server.server_port}", token="t").quota()
    assert asked.seen_headers["Host"].startswith("[::1]")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, key and certificate in one file."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "service")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("pki") / "service.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def _with_tls(certificate: Path) -> Any:
    def prepare(server: Any) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)

    return prepare


def test_an_untrusted_certificate_is_refused(serve: Any, scripted_handler: Any, talk: Any, certificate: Path) -> None:
    server = serve(scripted_handler(talk), prepare=_with_tls(certificate))
    with pytest.raises(errors.Unreachable) as caught:
        ServiceClient(f"https://127.0.0.1:{server.server_port}", token="t").quota()
    assert caught.value.code == "certificate_untrusted"
    assert not caught.value.retryable
    assert not is_away(caught.value)


def test_ca_path_makes_it_trusted(serve: Any, scripted_handler: Any, talk: Any, certificate: Path) -> None:
    server = serve(scripted_handler(talk), prepare=_with_tls(certificate))
    talk.expect("GET", "/api/v1/users/quota", answer={"max_gpus": 1})
    client = ServiceClient(f"https://127.0.0.1:{server.server_port}", token="t", ca_path=str(certificate))
    assert client.quota() == {"max_gpus": 1}


def test_a_ca_path_that_is_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInput, match="api_ca_path"):
        ServiceClient("https://127.0.0.1:9", token="t", ca_path=str(tmp_path / "none.pem")).quota()


def test_the_client_needs_neither_ansible_nor_libraries() -> None:
    """It is the command line's client too, and import time is paid by every command."""
    code = (
        "import sys; import ansible_collections.palebluedot.gpu.plugins.module_utils.service.client;"
        "print(sorted(m for m in ('ansible','requests','urllib3','httpx') if m in sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "collections")},
    )
    assert ran.stdout.strip() == "[]"


def test_errors_cross_processes_whole() -> None:
    import pickle

    problem = errors.Busy("busy", host="bmc", tried="GET /", next="Wait.", details={"status": 503})
    copy = pickle.loads(pickle.dumps(problem))  # noqa: S301
    assert copy.as_dict() == problem.as_dict()
    assert copy.details == {"status": 503}
    assert type(copy) is errors.Busy
