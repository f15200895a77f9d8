"""The real server: gunicorn in a process of its own, over sockets, with TLS, and stopped by signals."""

from __future__ import annotations

import datetime
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.component.api.conftest import Prepared
from tests.component.api.support import WISH, fleet_document, inspection
from tests.support.proc import alive

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import sys
from pathlib import Path
from api.server import serve

def ready(url):
    print(url, flush=True)

sys.exit(serve(ready=ready, port=0, port_file=Path(sys.argv[1])))
"""
START_S = 40.0


class Service:
    """A running service."""

    def __init__(self, process: subprocess.Popen[str], url: str, context: ssl.SSLContext | None) -> None:
        self.process, self.url, self.context = process, url, context
        self.host, port = url.rpartition("//")[2].rsplit(":", 1)
        self.port = int(port)

    def connect(self) -> http.client.HTTPConnection:
        if self.context is not None:
            return http.client.HTTPSConnection(self.host, self.port, timeout=20, context=self.context)
        return http.client.HTTPConnection(self.host, self.port, timeout=20)

    def call(
        self, method: str, path: str, token: str | None = None, body: object = None
    ) -> tuple[int, dict[str, object]]:
        connection = self.connect()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        payload = None
        if body is not None:
            payload = json.dumps(body)
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, payload, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()


@contextmanager
def running(prepared: Prepared, directory: Path, **environment: str) -> Iterator[Service]:
    database = directory / "record.db"
    database.write_bytes(prepared.database.read_bytes())
    port_file = directory / "port"
    env = {
        **os.environ,
        "PALEBLUEDOT_DATA_DIR": str(prepared.data_dir),
        "PALEBLUEDOT_DATABASE_URL": f"sqlite:///{database}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(directory),
        **environment,
    }
    with (directory / "stderr.log").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(port_file)], env=env, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, (directory / "stderr.log").read_text()
        assert port_file.read_text().strip() == url.rsplit(":", 1)[1]
        context = None
        if url.startswith("https"):
            context = ssl.create_default_context(cafile=str(directory / "cert.pem"))
        yield Service(process, url, context)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(START_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="module")
def service(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(prepared, tmp_path_factory.mktemp("service")) as found:
        yield found


def test_it_answers_where_it_says(service: Service) -> None:
    assert service.call("GET", "/healthz") == (200, {"status": "ok"})
    status, ready = service.call("GET", "/readyz")
    assert status == 200 and ready["revision"]


def test_a_body_of_10_mb_gets_its_answer_and_not_a_reset(service: Service, prepared: Prepared) -> None:
    for chunked in (False, True):
        connection = service.connect()
        piece = b" " * 65536
        connection.putrequest("POST", "/api/v1/gpu/allocate")
        connection.putheader("Authorization", f"Bearer {prepared.tokens['user']}")
        connection.putheader("Content-Type", "application/json")
        if chunked:
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders()
            for _ in range(160):
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            connection.send(b"0\r\n\r\n")
        else:
            connection.putheader("Content-Length", str(160 * len(piece)))
            connection.endheaders()
            for _ in range(160):
                connection.send(piece)
        answer = connection.getresponse()
        document = json.loads(answer.read())
        assert (answer.status, document["code"]) == (413, "body_too_large"), f"chunked={chunked}"
        connection.close()


def test_many_at_once_get_one_allocation_each_and_no_server_twice(service: Service, prepared: Prepared) -> None:
    token = prepared.tokens["automation"]
    assert service.call("POST", "/api/v1/servers", token, fleet_document())[0] == 200
    for n in range(3):
        assert service.call("PUT", f"/api/v1/servers/gpu-{n:02}/inspection", token, inspection(n))[0] == 200
    tokens = [prepared.tokens[name] for name in ("user", "neighbour", "operator", "admin", "automation", "user")]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda one: service.call("POST", "/api/v1/gpu/allocate", one, WISH), tokens))
    held = [document["allocation_id"] for status, document in answers if status == 202]
    refused = [document["code"] for status, document in answers if status != 202]
    assert len(held) == len(set(held)) == 3
    assert len(refused) == 3 and set(refused) <= {"no_capacity", "over_quota"}
    _, page = service.call("GET", "/api/v1/allocations", prepared.tokens["auditor"])
    items = page["items"]
    assert isinstance(items, list)
    assert sorted(item["servers"][0]["name"] for item in items) == ["gpu-00", "gpu-01", "gpu-02"]


def test_sigterm_lets_a_request_finish_and_leaves_nothing_behind(prepared: Prepared, tmp_path: Path) -> None:
    with running(prepared, tmp_path) as service:
        token = prepared.tokens["automation"]
        service.call("POST", "/api/v1/servers", token, fleet_document())
        service.call("PUT", "/api/v1/servers/gpu-00/inspection", token, inspection(0))
        _, accepted = service.call("POST", "/api/v1/gpu/allocate", prepared.tokens["user"], WISH)
        connection = service.connect()
        connection.request(
            "DELETE",
            f"/api/v1/gpu/{accepted['allocation_id']}/release",
            headers={"Authorization": f"Bearer {prepared.tokens['user']}", "Prefer": "wait=50"},
        )
        time.sleep(0.5)
        children = _children(service.process.pid)
        assert len(children) == 1
        started = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        answer = connection.getresponse()
        assert answer.status == 202 and json.loads(answer.read())["status"] == "releasing"
        assert service.process.wait(START_S) == 0
        assert time.monotonic() - started < START_S, "the wait was not ended"
        assert not any(alive(child) for child in children)
    log = (tmp_path / "stderr.log").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert any(line.get("http", {}).get("response", {}).get("status_code") == 202 for line in lines)
    assert prepared.tokens["user"] not in log and "bmc-password" not in log
    assert not list(tmp_path.glob(".gunicorn*"))


def test_its_worker_ends_when_it_is_killed(prepared: Prepared, tmp_path: Path) -> None:
    with running(prepared, tmp_path) as service:
        assert service.call("GET", "/healthz")[0] == 200
        (child,) = _children(service.process.pid)
        service.process.kill()
        service.process.wait(5)
        deadline = time.monotonic() + START_S
        while alive(child) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not alive(child)


def test_tls(prepared: Prepared, tmp_path: Path) -> None:
    _certificate(tmp_path)
    environment = {
        "PALEBLUEDOT_API_TLS_CERT_FILE": str(tmp_path / "cert.pem"),
        "PALEBLUEDOT_API_TLS_KEY_FILE": str(tmp_path / "key.pem"),
    }
    with running(prepared, tmp_path, **environment) as service:
        assert service.url.startswith("https://")
        assert service.call("GET", "/healthz")[0] == 200
        with socket.create_connection((service.host, service.port), 5) as plain:
            plain.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert b"200 OK" not in plain.recv(100)


def test_half_a_key_pair_is_refused() -> None:
    from api.settings import ApiSettings

    with pytest.raises(ValueError, match="go together"):
        ApiSettings(tls_cert_file=Path("cert.pem"))


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _certificate(directory: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    import ipaddress

    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (directory / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
