"""Going to the server that was handed over, as its user would: with ssh and the key given to the service."""

from __future__ import annotations

import asyncio

import asyncssh

from cli.problems import Problem

TIMEOUT_S = 20.0


def make_key() -> tuple[asyncssh.SSHKey, str]:
    """A fresh Ed25519 key and its public line."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment="ada@demo")
    return key, key.export_public_key().decode().strip()


def visit(
    address: str, port: int, username: str, key: asyncssh.SSHKey, host_key: str | None, *commands: str
) -> list[str]:
    """Log in and run commands; what each printed.

    `host_key` is the key that the machine itself reported on its first boot; with it, nobody else can answer.
    """
    return asyncio.run(asyncio.wait_for(_visit(address, port, username, key, host_key, commands), timeout=TIMEOUT_S))


async def _visit(
    address: str, port: int, username: str, key: asyncssh.SSHKey, host_key: str | None, commands: tuple[str, ...]
) -> list[str]:
    known_hosts = None
    if host_key:
        name = address if port == 22 else f"[{address}]:{port}"
        known_hosts = asyncssh.import_known_hosts(f"{name} {host_key}\n")
    where = f"ssh -p {port} {username}@{address}"
    try:
        async with asyncssh.connect(
            address, port, username=username, client_keys=[key], known_hosts=known_hosts, config=None, agent_path=None
        ) as connection:
            answers = []
            for command in commands:
                ran = await connection.run(command)
                if ran.exit_status != 0:
                    raise Problem(
                        f"{command} failed on the server", host=address, tried=where, answer=str(ran.stderr)[:500]
                    )
                answers.append(str(ran.stdout).strip())
            return answers
    except (OSError, asyncssh.Error) as error:
        raise Problem(
            "The server was handed over and cannot be reached",
            host=address,
            tried=where,
            answer=f"{type(error).__name__}: {error}",
            next="See the steps network_tenant and verify_reach of the workflow",
        ) from error
