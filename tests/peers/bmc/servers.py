"""Foreign BMCs as contexts: sushy-emulator and ipmi_sim, as `setup.sh` beside this file got them."""

from __future__ import annotations

import contextlib
import functools
import http.server
import importlib.util
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
SUSHY = ROOT / "var" / "peers" / "sushy" / "bin" / "sushy-emulator"
USERNAME, PASSWORD = "admin", "secret"


def program(name: str) -> str:
    """Where a program is. Raises FileNotFoundError."""
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(
            f"{name} is not here (Debian: openipmi, ipmitool); tests/peers/setup.sh tries to get it"
        )
    return found


def certificates() -> Any:
    path = ROOT / "tests" / "component" / "bmc" / "certificates.py"
    spec = importlib.util.spec_from_file_location("certificates", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("certificates", module)
    spec.loader.exec_module(module)
    return module


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(ready: Callable[[], bool], what: str, process: subprocess.Popen[Any], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if ready():
            return
        time.sleep(0.1)
    raise AssertionError(f"{what} did not start:\n{log.read_text()[-2000:]}")


def stop(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """The URL of an image on a web server of its own: sushy-emulator fetches what is inserted."""
    served = folder / "web"
    served.mkdir()
    (served / "rescue.iso").write_bytes(b"\0" * 2048)
    handler = functools.partial(_Quiet, directory=str(served))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/rescue.iso"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def sushy(folder: Path) -> Iterator[dict[str, Any]]:
    """The options that reach a sushy-emulator with one fake system, over TLS."""
    made = certificates().make(folder)
    port = free_port(socket.SOCK_STREAM)
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                SUSHY,
                "--fake",
                "-i",
                "127.0.0.1",
                "-p",
                str(port),
                "--ssl-certificate",
                made.chain,
                "--ssl-key",
                made.key,
            ],
            cwd=folder,
            stdout=output,
            stderr=output,
        )

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_for(listens, "sushy-emulator", process, log)
        yield {
            "bmc_address": "127.0.0.1",
            "bmc_port": port,
            "bmc_username": USERNAME,
            "bmc_password": PASSWORD,
            "bmc_ca_path": str(made.ca),
            "bmc_protocol": "redfish",
            "bmc_timeout": 20,
        }
    finally:
        stop(process)


@contextmanager
def a_millisecond_away(port: int) -> Iterator[int]:
    """The UDP port that forwards to ``port`` as a network would: later.

    pyghmi misses an answer that is back before it waits for one, and asks again 0.5 to 1 s later (0.8 s a command
    against ipmi_sim on the loopback, no time at all through this). No real BMC is that near.
    """
    near, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _side in range(2))
    near.bind(("127.0.0.1", 0))
    far.connect(("127.0.0.1", port))
    asked_by: list[Any] = []

    def forth() -> None:
        with contextlib.suppress(OSError):
            while True:
                packet, address = near.recvfrom(4096)
                if not packet:
                    return
                asked_by[:] = [address]
                with contextlib.suppress(ConnectionRefusedError):
                    far.send(packet)

    def back() -> None:
        with contextlib.suppress(OSError):
            while packet := far.recv(4096):
                time.sleep(0.001)
                near.sendto(packet, asked_by[0])

    threads = [threading.Thread(target=way, daemon=True) for way in (forth, back)]
    for thread in threads:
        thread.start()
    try:
        yield int(near.getsockname()[1])
    finally:
        near.close()
        far.close()


@contextmanager
def ipmi_sim(folder: Path) -> Iterator[dict[str, Any]]:
    """The options that reach an ipmi_sim, whose chassis is a folder: ``power`` and ``boot`` are files in it."""
    sim, ipmitool = program("ipmi_sim"), program("ipmitool")
    port = free_port(socket.SOCK_DGRAM)
    (folder / "power").write_text("0")
    control = folder / "chassis"
    control.write_text(
        f"""#!/bin/sh
cd {folder}
echo "$*" >> asked
shift
case "$1 $2" in
    "get power") echo "power:$(cat power)" ;;
    "get boot") echo "boot:$(cat boot 2>/dev/null || echo default)" ;;
    "set power") echo "$3" > power ;;
    "set boot") echo "$3" > boot ;;
    "set reset") echo reset >> resets; echo 1 > power ;;
    "set shutdown") echo 0 > power ;;
    "check "*) ;;
esac
"""
    )
    control.chmod(0o755)
    (folder / "lan.conf").write_text(
        f"""name "peer"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "{control} 0x20"
  user 1 true "" "test" user 10 none md2 md5 straight
  user 2 true "{USERNAME}" "{PASSWORD}" admin 10 none md2 md5 straight
"""
    )
    (folder / "commands.emu").write_text(
        """mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
mc_enable 0x20
"""
    )
    (folder / "state").mkdir()
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sim, "-n", "-c", folder / "lan.conf", "-f", folder / "commands.emu", "-s", folder / "state"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def answers() -> bool:
        asked = [ipmitool, "-I", "lanplus", "-H", "127.0.0.1", "-p", str(port), "-U", USERNAME, "-P", PASSWORD]
        done = subprocess.run([*asked, "-C", "3", "-N", "1", "-R", "1", "mc", "guid"], capture_output=True, timeout=20)
        return done.returncode == 0

    try:
        wait_for(answers, "ipmi_sim", process, log)
        with a_millisecond_away(port) as away:
            yield {
                "bmc_address": "127.0.0.1",
                "bmc_port": away,
                "bmc_username": USERNAME,
                "bmc_password": PASSWORD,
                "bmc_protocol": "ipmi",
                "bmc_timeout": 20,
            }
    finally:
        stop(process)
