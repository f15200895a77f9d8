"""What a BMC says of itself over IPMI: device id, FRU, the list of sensors, how full its event log is.

pyghmi can block for ever on a BMC that misbehaves, so this runs as a process of its own with a deadline:
``python -m lab.capture.ipmi`` reads where to ask from its standard input and writes the summary to its output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

DEADLINE_S = 120.0
APPLICATION, STORAGE = 0x06, 0x0A


class IpmiError(Exception):
    """Nothing could be read."""


def summary(address: str, port: int, username: str, password: str, seconds: float = DEADLINE_S) -> dict[str, Any]:
    """Ask in a child process that is killed at its deadline. Raises IpmiError."""
    request = {"address": address, "port": port, "username": username, "password": password}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "lab.capture.ipmi"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise IpmiError(f"no answer within {seconds:.0f} s") from None
    try:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        raise IpmiError((done.stderr.strip().splitlines() or ["it ended without an answer"])[-1][:300]) from None
    if "error" in answer:
        raise IpmiError(answer["error"])
    return answer


def _read(request: dict[str, Any]) -> dict[str, Any]:
    from pyghmi.ipmi.command import Command

    # bytes: with str credentials pyghmi's table of logins in progress never finds its own entry
    command = Command(
        bmc=request["address"],
        userid=request["username"].encode(),
        password=request["password"].encode(),
        port=request["port"],
    )

    def raw(netfn: int, number: int) -> list[int] | None:
        answer = command.raw_command(netfn=netfn, command=number)
        return None if answer.get("code") else list(answer.get("data") or b"")

    result: dict[str, Any] = {"device_id": raw(APPLICATION, 0x01), "sel_info": raw(STORAGE, 0x40)}
    try:
        result["fru"] = {str(name): _plain(part) for name, part in command.get_inventory()}
    except Exception as error:  # a FRU that cannot be parsed is said to be so, and the rest is read
        result["fru_error"] = f"{type(error).__name__}: {error}"
    try:
        result["sdr"] = [_plain(part) for part in command.get_sensor_descriptions()]
    except Exception as error:
        result["sdr_error"] = f"{type(error).__name__}: {error}"
    command.ipmi_session.logout()
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, bytes | bytearray):
        return value.hex()
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def main() -> None:
    try:
        answer = _read(json.loads(sys.stdin.read()))
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
    os._exit(0)  # pyghmi's threads would keep the process


if __name__ == "__main__":
    main()
