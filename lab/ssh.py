"""SSH into an installed system: who gets in, and what a login can do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import posixpath
import shlex
import socket
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import asyncssh

if TYPE_CHECKING:
    from lab.disk import Disk
    from lab.machine import Machine

logger = logging.getLogger(__name__)

LOGIN_TIMEOUT_S = 10
MAX_CONNECTIONS = 32


def authorized_keys_path(username: str) -> str:
    return f"/home/{username}/.ssh/authorized_keys"


class _Server(asyncssh.SSHServer):
    """Public keys only, those on the drive."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def begin_auth(self, username: str) -> bool:
        keys = self._disk.files.get(authorized_keys_path(username), "")
        if self._connection is not None and keys.strip():
            with contextlib.suppress(ValueError):
                self._connection.set_authorized_keys(asyncssh.import_authorized_keys(keys))
        return True

    def password_auth_supported(self) -> bool:
        return False


class SshListener:
    """sshd of one running system on one address.

    It answers only while the machine's port is in the VLAN of the address's tenant network; anybody else's connection
    is closed without a word, and established ones are cut when the port moves.
    """

    def __init__(self, machine: Machine, disk: Disk, address: str, port: int, host_key: str, booted_at: float) -> None:
        self._machine = machine
        self._disk = disk
        self._address = address
        self._port = port
        self._host_key = asyncssh.import_private_key(host_key)
        self._booted_at = booted_at
        self._socket: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[asyncssh.SSHServerConnection] = set()

    def start(self) -> None:
        """Listen. Raises OSError when the address is taken, as a duplicate on the network would be."""
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setblocking(False)
            listening.bind((self._address, self._port))
            listening.listen(16)
        except OSError:
            listening.close()
            raise
        self._socket = listening
        self._run(self._accept(listening))
        self._run(self._cut_off_when_moved())

    async def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        for task in list(self._tasks):
            task.cancel()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def reachable(self) -> bool:
        """Whether whoever dials the address reaches this machine."""
        fabric = self._machine.world.fabric
        vlan = fabric.tenant_vlan_of(self._address)
        return vlan is not None and vlan == fabric.vlan(self._machine)

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            peer, _ = await loop.sock_accept(listening)
            if not self.reachable or len(self._tasks) > MAX_CONNECTIONS:
                peer.close()
                continue
            self._run(self._serve(peer))

    async def _serve(self, peer: socket.socket) -> None:
        fault = self._machine.world.faults.pick(self._machine.name, "ssh", "CONNECT", self._address)
        if fault is not None:
            if fault.kind == "hang":
                try:
                    await asyncio.Event().wait()
                finally:
                    peer.close()
            if fault.kind != "latency":
                peer.close()
                return
            await asyncio.sleep(float(fault.value or 1))
        try:
            connection = await asyncssh.run_server(
                peer,
                server_factory=lambda: _Server(self._disk),
                server_host_keys=[self._host_key],
                process_factory=self._process,
                login_timeout=LOGIN_TIMEOUT_S,
                allow_scp=False,
                agent_forwarding=False,
            )
        except (OSError, asyncssh.Error) as error:
            logger.debug("%s: login from a client failed: %s", self._machine.name, error)
            return
        self._connections.add(connection)
        try:
            await connection.wait_closed()
        finally:
            self._connections.discard(connection)

    async def _cut_off_when_moved(self) -> None:
        while True:
            await self._machine.world.fabric.wait_for_change()
            if not self.reachable:
                for connection in list(self._connections):
                    connection.abort()

    def _process(self, process: asyncssh.SSHServerProcess[str]) -> None:
        username = str(process.get_extra_info("username"))
        output, status = self._execute(process.command or "", username)
        (process.stdout if status == 0 else process.stderr).write(output)
        process.exit(status)

    def _execute(self, command: str, username: str) -> tuple[str, int]:
        """What a command prints and its exit status. A shell is not there: canned answers only."""
        try:
            words = shlex.split(command)
        except ValueError as error:
            return f"sh: {error}\n", 2
        if not words:
            return "interactive shells are not part of this machine\n", 1
        programs: dict[str, Callable[[list[str]], tuple[str, int]]] = {
            "cat": self._cat,
            "hostname": lambda _: (self._disk.files.get("/etc/hostname", "localhost").strip() + "\n", 0),
            "id": lambda _: (f"uid=1000({username}) gid=1000({username}) groups=1000({username}),27(sudo)\n", 0),
            "nvidia-smi": self._nvidia_smi,
            "true": lambda _: ("", 0),
            "uname": lambda _: ("Linux\n", 0),
            "uptime": self._uptime,
            "whoami": lambda _: (f"{username}\n", 0),
        }
        name = posixpath.basename(words[0])
        if name not in programs:
            return f"sh: 1: {words[0]}: not found\n", 127
        return programs[name](words[1:])

    def _cat(self, paths: list[str]) -> tuple[str, int]:
        contents = []
        for path in paths:
            if path not in self._disk.files or (path.startswith("/etc/ssh/ssh_host") and not path.endswith(".pub")):
                return f"cat: {path}: No such file or directory\n", 1
            contents.append(self._disk.files[path])
        return "".join(contents), 0

    def _nvidia_smi(self, arguments: list[str]) -> tuple[str, int]:
        gpus = self._machine.present_gpus
        if not gpus:
            return "No devices were found\n", 6
        lines = [f"GPU {index}: NVIDIA {gpu.model} (UUID: GPU-{gpu.uuid})" for index, gpu in enumerate(gpus)]
        if arguments != ["-L"]:
            at = self._machine.world.clock.elapsed()
            lines = [
                f"{index}, NVIDIA {gpu.model}, {gpu.serial_number}, {gpu.temperature_celsius(at):.0f}, "
                f"{gpu.power_watts(at):.2f} W"
                for index, gpu in enumerate(gpus)
            ]
        return "\n".join(lines) + "\n", 0

    def _uptime(self, arguments: list[str]) -> tuple[str, int]:
        clock = self._machine.world.clock
        minutes = int((clock.elapsed() - self._booted_at) / 60)
        return f" {clock.now():%H:%M:%S} up {minutes} min,  0 users,  load average: 0.00, 0.00, 0.00\n", 0


def make_host_key() -> tuple[str, str]:
    """A new Ed25519 host key: private in OpenSSH format, and its public line."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment="root@localhost")
    return key.export_private_key().decode(), key.export_public_key().decode().strip()
