"""A real kube-apiserver with the Tinkerbell CRDs, as `setup.sh` beside this file has built it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml

ROOT = Path(__file__).resolve().parents[3]
BIN = ROOT / "var" / "peers" / "bin"
TOKEN = "peer-test-token"
DIALECTS = {
    "mono": ["tinkerbell/tinkerbell-v0.25.0/crd/bases/v1alpha1"],
    "0.12.2": ["tinkerbell/tink-v0.12.2/config/crd/bases", "tinkerbell/rufio-v0.6.5"],
}


def shared_data() -> Path | None:
    """The folder with the published CRDs, where there is one."""
    for candidate in (os.environ.get("PALEBLUEDOT_SHARED"), ROOT.parent / "shared"):
        if candidate and (Path(candidate) / "data" / "tinkerbell").is_dir():
            return Path(candidate) / "data"
    return None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session", params=sorted(DIALECTS))
def kubeconfig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A kubeconfig for a kube-apiserver that serves the CRDs of one generation of Tinkerbell."""
    data = shared_data()
    if data is None:
        pytest.skip("the published Tinkerbell CRDs are not here")
    for program in ("etcd", "kube-apiserver"):
        if not (BIN / program).exists():
            pytest.skip(f"{program} is not here: tests/peers/kube/setup.sh says why")
    directory = tmp_path_factory.mktemp("kube")
    (directory / "tokens.csv").write_text(f'{TOKEN},admin,1,"system:masters"\n')
    key = directory / "sa.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True, timeout=60)
    etcd_port, peer_port, port = free_port(), free_port(), free_port()
    etcd = [
        *(str(BIN / "etcd"), "--data-dir", str(directory / "etcd"), "--log-level", "error"),
        *("--listen-client-urls", f"http://127.0.0.1:{etcd_port}"),
        *("--advertise-client-urls", f"http://127.0.0.1:{etcd_port}"),
        *("--listen-peer-urls", f"http://127.0.0.1:{peer_port}"),
    ]
    apiserver = [
        *(str(BIN / "kube-apiserver"), "--etcd-servers", f"http://127.0.0.1:{etcd_port}"),
        *("--bind-address", "127.0.0.1", "--secure-port", str(port), "--cert-dir", str(directory / "certs")),
        *("--token-auth-file", str(directory / "tokens.csv"), "--authorization-mode", "AlwaysAllow"),
        *("--service-account-issuer", "https://localhost", "--service-account-key-file", str(key)),
        *("--service-account-signing-key-file", str(key), "--service-cluster-ip-range", "10.0.0.0/24"),
        "--disable-admission-plugins=ServiceAccount",
    ]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for name, argv in (("etcd", etcd), ("apiserver", apiserver)):
            with (directory / f"{name}.log").open("wb") as log:
                started.append(subprocess.Popen(argv, stdout=log, stderr=log))
        ca = directory / "certs" / "apiserver.crt"
        wait_until_ready(f"https://127.0.0.1:{port}", ca, directory / "apiserver.log")
        install_crds(f"https://127.0.0.1:{port}", ca, [data / folder for folder in DIALECTS[request.param]])
        path = directory / "kubeconfig.yml"
        path.write_text(yaml.safe_dump(kubeconfig_document(port, ca)))
        yield path
    finally:
        for process in reversed(started):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def session(ca: Path) -> requests.Session:
    """Token and CA; the environment's own CA bundle would silently replace the one given."""
    client = requests.Session()
    client.trust_env = False
    client.verify = str(ca)
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    return client


def wait_until_ready(url: str, ca: Path, log: Path, timeout_s: float = 90) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if ca.exists() and session(ca).get(f"{url}/readyz", timeout=5).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.3)
    raise AssertionError(f"kube-apiserver was not ready after {timeout_s:.0f} s\n{log.read_text()[-3000:]}")


def install_crds(url: str, ca: Path, folders: list[Path]) -> None:
    """Create the CRDs, and wait until their resources are served."""
    client = session(ca)
    served = []
    for file in sorted(file for folder in folders for file in folder.glob("*.yaml")):
        definition = yaml.safe_load(file.read_text())
        answer = client.post(
            f"{url}/apis/apiextensions.k8s.io/v1/customresourcedefinitions", json=definition, timeout=30
        )
        assert answer.status_code == 201, answer.text
        version = definition["spec"]["versions"][0]["name"]
        served.append(f"{url}/apis/{definition['spec']['group']}/{version}/{definition['spec']['names']['plural']}")
    answer = client.post(f"{url}/api/v1/namespaces", json={"metadata": {"name": "tinkerbell"}}, timeout=30)
    assert answer.status_code == 201, answer.text
    deadline = time.monotonic() + 60
    for resource in served:
        while not client.get(resource, timeout=10).ok:
            assert time.monotonic() < deadline, f"{resource} is not served"
            time.sleep(0.2)


def kubeconfig_document(port: int, ca: Path) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "peer",
        "contexts": [{"name": "peer", "context": {"cluster": "peer", "user": "admin"}}],
        "clusters": [
            {
                "name": "peer",
                "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(ca)},
            }
        ],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
    }
