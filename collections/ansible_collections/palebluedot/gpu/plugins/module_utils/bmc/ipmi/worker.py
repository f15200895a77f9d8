# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The process that talks IPMI: reads one JSON request a line, answers one JSON line, until its standard input ends.

pyghmi keeps one input thread, one session pool and its sockets for a whole process, and a BMC that misbehaves can block
a call for ever; so it lives in processes of its own (``pool.py``), which are killed when a deadline passes. This
file is run by its source text: it imports nothing of the collection, which a child process could not find.

Request ``{"op", "address", "port", "username", "password", "arguments"}``; answer ``{"result"}`` or
``{"error": {"kind", "text"}}`` with kind authentication, cipher, sessions, unreachable, unsupported, refused, lost or
internal.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

Command: Any = None  # pyghmi.ipmi.command.Command, imported by main()

CHASSIS = 0x00
APPLICATION = 0x06
STORAGE = 0x0A
GROUP_EXTENSION = 0x2C
TRANSPORT = 0x0C
THIS_CHANNEL = 0x0E
LAN_ADDRESSES = {"address": 3, "netmask": 6, "gateway": 12}
DCMI = 0xDC
# Chassis Control (IPMI 2.0, 28.3)
# completion codes (IPMI 2.0, table 5-2): invalid command, for this LUN, parameter out of range, invalid field, disabled
UNSUPPORTED = (0xC1, 0xC2, 0xC9, 0xCC, 0xD6)
NOT_PRESENT = 0xCB
LAST_RECORD = 0xFFFF
SEL_RECORD = 16  # bytes
OEM_FROM, UNTIMED_FROM = 0xC0, 0xE0  # record types
LAST_GENERIC, SENSOR_SPECIFIC = 0x0C, 0x6F  # event/reading types (table 42-1)
ANSWER_WITHIN_S = 5.0
NO_ANSWER = 0xFFFF  # pyghmi's code for a timeout
POWER = {"off": 0x00, "on": 0x01, "reset": 0x03, "soft": 0x05}


class Failure(Exception):
    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def connect(request: dict[str, Any]) -> Any:
    # With str credentials a second Command to the same BMC never comes back (its table of logins in progress compares
    # bytes with str).
    command = Command(
        bmc=request["address"],
        userid=request["username"].encode(),
        password=request["password"].encode(),
        port=request["port"],
    )
    if not command.ipmi_session.logged:
        raise Failure("unreachable", "no session was set up")
    return command


def power_state(command: Any) -> str:
    data = command.xraw_command(netfn=CHASSIS, command=0x01)["data"]
    return "On" if data[0] & 1 else "Off"


def set_power(command: Any, action: str) -> None:
    """Send one chassis control."""
    checked(send_once(command, CHASSIS, 0x02, (POWER[action],), "chassis control"))


def set_raw(command: Any, netfn: int, number: int, data: list[int]) -> dict[str, Any]:
    """Send any command; what it does is not known here, so it counts as a write."""
    answer = send_once(command, netfn, number, tuple(data), f"command {netfn:02x} {number:02x}")
    return {
        "code": answer.get("code", 0),
        "data": list(answer.get("data") or b""),
        "text": str(answer["error"]) if "error" in answer else None,
    }


def send_once(command: Any, netfn: int, number: int, data: tuple[int, ...], what: str) -> dict[str, Any]:
    """Send a command once: pyghmi's own repeats it when the answer is late, and one reset is enough."""
    session = command.ipmi_session
    answers: list[dict[str, Any]] = []
    session.raw_command(netfn=netfn, command=number, data=data, retry=False, callback=answers.append)
    give_up = time.monotonic() + ANSWER_WITHIN_S
    while not answers and time.monotonic() < give_up:
        session.wait_for_rsp(timeout=0.2)
    session.incommand = False  # with a callback, tidying up is the caller's
    while session.evq:
        session.evq.popleft().set()
    if not answers or answers[0].get("code") == NO_ANSWER:
        raise Failure("lost", f"no answer to {what}")
    return answers[0]


def info(command: Any) -> dict[str, Any]:
    device = command.xraw_command(netfn=APPLICATION, command=0x01)["data"]
    minor = device[3]
    found: dict[str, Any] = {"firmware": f"{device[2] & 0x7F}.{minor >> 4}{minor & 0x0F}"}
    from pyghmi.ipmi import fru

    try:
        product = fru.FRU(ipmicmd=command).info or {}
    except Exception:  # a board without a readable FRU is common and says nothing else
        product = {}
    for name, key in (("manufacturer", "Manufacturer"), ("model", "Product name"), ("serial_number", "Serial Number")):
        found[name] = product.get(key)
    return found


def boot(command: Any) -> dict[str, Any]:
    answer: dict[str, Any] = checked(command.get_bootdev())
    return {name: answer.get(name) for name in ("bootdev", "persistent", "uefimode")}


def set_boot(command: Any, device: str, persistent: bool, uefi: bool) -> None:
    checked(command.set_bootdev(device, persist=persistent, uefiboot=uefi))


def sel(command: Any, after: int) -> dict[str, Any]:
    """Records of the event log behind the record ``after`` (0: all), in the log's order, and the BMC's time.

    Not pyghmi's get_event_log: that reads the whole log and all sensor records each time, and makes up dates.
    """
    clock = command.raw_command(netfn=STORAGE, command=0x48)
    seconds = from_bytes(clock["data"]) if "error" not in clock else None
    records: list[dict[str, Any]] = []
    count = checked(command.raw_command(netfn=STORAGE, command=0x40))["data"]
    found: dict[str, Any] = {"records": records, "time": seconds, "restarted": False}
    if from_bytes(count[1:3]) == 0:
        return {**found, "restarted": after != 0}
    current = after
    seen: set[int] = set()
    while current != LAST_RECORD and current not in seen:
        seen.add(current)
        answer = command.raw_command(netfn=STORAGE, command=0x43, data=(0, 0, current & 0xFF, current >> 8, 0, 0xFF))
        if answer.get("code") == NOT_PRESENT and current == after and after:
            # cleared, or written over: from the beginning
            found["restarted"], current = True, 0
            continue
        if answer.get("code") == NOT_PRESENT:
            break
        data = bytes(checked(answer)["data"])
        current, record = from_bytes(data[:2]), data[2:]
        if len(record) >= SEL_RECORD and (from_bytes(record[:2]) != after or found["restarted"]):
            records.append(sel_record(record))
    return found


def sel_record(record: bytes) -> dict[str, Any]:
    """One record (IPMI 2.0, table 32-1 to 32-3); what only its maker understands is given as bytes."""
    from pyghmi.ipmi.private import constants

    kind = record[2]
    raw = record.hex(" ")
    decoded: dict[str, Any] = {
        "id": from_bytes(record[:2]),
        "seconds": from_bytes(record[3:7]) if kind < UNTIMED_FROM else None,
        "event": f"type {kind:02x}",
        "sensor": None,
        "severity": None,
        "message": f"OEM record {raw}",
    }
    if kind >= OEM_FROM:
        return decoded
    kind_of_sensor, number, event_type, event = record[10], record[11], record[12] & 0x7F, record[13:16]
    offset, gone = event[0] & 0x0F, bool(record[12] & 0x80)
    table = constants.sensor_type_offsets.get(kind_of_sensor) if event_type == SENSOR_SPECIFIC else None
    if event_type <= LAST_GENERIC:
        table = constants.generic_type_offsets.get(event_type)
    meaning = (table or {}).get(offset, {})
    said = meaning.get("deassertion_desc" if gone else "desc")
    health = meaning.get("deassertion_severity" if gone else "severity")
    name = constants.sensor_type_codes.get(kind_of_sensor)
    return {
        **decoded,
        "event": f"0x{event.hex()}",
        "sensor": f"{name or f'type {kind_of_sensor:02x}'} {number}",
        "severity": None if health is None else "OK" if health == 0 else "Warning" if health == 1 else "Critical",
        "message": said or f"event type {event_type:02x} offset {offset} {'deasserted' if gone else 'asserted'}",
    }


def from_bytes(data: Any) -> int:
    return int.from_bytes(bytes(data), "little")


def sensors(command: Any) -> list[dict[str, Any]]:
    """Every sensor that the SDR repository lists and that has a reading (IPMI 2.0, chapter 33 to 36)."""
    found = []
    for reading in command.get_sensor_data():
        if getattr(reading, "unavailable", 0):
            continue
        health = int(reading.health or 0)
        value = reading.value
        found.append(
            {
                "name": str(reading.name),
                "kind": str(reading.type) if reading.type else None,
                "value": float(value) if isinstance(value, int | float) else None,
                "unit": str(reading.units).strip() or None if reading.units else None,
                "health": "OK" if health == 0 else "Warning" if health == 1 else "Critical",
                "states": [str(state) for state in reading.states or []],
            }
        )
    return found


def metrics(command: Any) -> dict[str, Any]:
    return {"power_watts": dcmi_power(command), "inlet_celsius": dcmi_inlet(command)}


def dcmi_power(command: Any) -> float | None:
    """Get Power Reading (DCMI 1.5, 6.6.1); None where the BMC has no DCMI."""
    data = optional(command, 0x02, (DCMI, 0x01, 0x00, 0x00))
    return float(data[1] | data[2] << 8) if data and len(data) >= 3 else None


def dcmi_inlet(command: Any) -> float | None:
    """Get Temperature Readings of the inlet entity (DCMI 1.5, 6.7.3)."""
    data = optional(command, 0x10, (DCMI, 0x01, 0x40, 0x00, 0x01))
    if not data or len(data) < 4 or not data[2]:
        return None
    degrees = data[3] & 0x7F
    return float(-degrees if data[3] & 0x80 else degrees)


def firmware(command: Any) -> str:
    data = command.xraw_command(netfn=APPLICATION, command=0x01)["data"]
    return f"{data[2] & 0x7F}.{data[3] >> 4}{data[3] & 0x0F}"


def set_reset(command: Any, warm: bool) -> None:
    write(command, 0x03 if warm else 0x02, (), "a reset of the BMC")


# -- users (22.26 to 22.30); "this channel" is 0x0E


def users(command: Any) -> list[dict[str, Any]]:
    first = checked(command.raw_command(netfn=APPLICATION, command=0x44, data=(THIS_CHANNEL, 1)))["data"]
    found = []
    for number in range(1, (first[0] & 0x3F) + 1):
        access = command.raw_command(netfn=APPLICATION, command=0x44, data=(THIS_CHANNEL, number))
        if "error" in access:
            continue
        name = command.raw_command(netfn=APPLICATION, command=0x46, data=(number,))
        raw = b"" if "error" in name else bytes(name["data"])
        status = access["data"][1] >> 6  # 00: this BMC does not say
        found.append(
            {
                "id": number,
                "username": raw.split(b"\0", maxsplit=1)[0].decode("ascii", errors="replace"),
                "privilege": access["data"][3] & 0x0F,
                "enabled": {1: True, 2: False}.get(status),
            }
        )
    return found


def set_user_name(command: Any, number: int, username: str) -> None:
    write(command, 0x45, (number, *username.encode("ascii").ljust(16, b"\0")), "set user name")


def set_user_access(command: Any, number: int, privilege: int | None) -> None:
    # 0x90: change the bits that follow; allow IPMI messaging
    level = 0x0F if privilege is None else privilege
    write(command, 0x43, (0x90 | THIS_CHANNEL, number, level, 0), "set user access")


def set_user_enabled(command: Any, number: int, enabled: bool) -> None:
    write(command, 0x47, (number, 1 if enabled else 0), "enable or disable user")


def set_user_password(command: Any, number: int, password: str) -> None:
    write(command, 0x47, password_data(number, 2, password), "set user password")


def user_password_is(command: Any, number: int, password: str) -> bool:
    answer = command.raw_command(netfn=APPLICATION, command=0x47, data=password_data(number, 3, password))
    if answer.get("code") in (0x80, 0x81):  # another one; one of the other length
        return False
    checked(answer)
    return True


def password_data(number: int, operation: int, password: str) -> tuple[int, ...]:
    """16 bytes where they are enough: older BMCs know nothing else; bit 7 announces 20."""
    raw = password.encode("ascii")
    size, mark = (16, 0x00) if len(raw) <= 16 else (20, 0x80)
    return (number | mark, operation, *raw.ljust(size, b"\0"))


# -- LAN configuration (23.1, 23.2, table 23-4)


def lan(command: Any) -> dict[str, Any]:
    source, vlan = lan_parameter(command, 4), lan_parameter(command, 20)
    tag = vlan[0] | vlan[1] << 8 if vlan and len(vlan) >= 2 else None
    return {
        "dhcp": None if not source else source[0] & 0x0F == 2,
        **{name: dotted(lan_parameter(command, number)) for name, number in LAN_ADDRESSES.items()},
        "vlan": None if tag is None else tag & 0x0FFF if tag & 0x8000 else 0,
    }


def lan_parameter(command: Any, number: int) -> bytes | None:
    answer = command.raw_command(netfn=TRANSPORT, command=0x02, data=(THIS_CHANNEL, number, 0, 0))
    return None if "error" in answer else bytes(answer["data"])[1:]


def dotted(raw: bytes | None) -> str | None:
    return ".".join(str(part) for part in raw[:4]) if raw and len(raw) >= 4 else None


def set_lan(command: Any, name: str, value: Any) -> None:
    if name == "dhcp":
        data: tuple[int, ...] = (4, 2 if value else 1)
    elif name == "vlan":
        tag = value | 0x8000 if value else 0
        data = (20, tag & 0xFF, tag >> 8)
    else:
        data = (LAN_ADDRESSES[name], *(int(part) for part in value.split(".")))
    checked(send_once(command, TRANSPORT, 0x01, (THIS_CHANNEL, *data), f"set {name}"))


def write(command: Any, number: int, data: tuple[int, ...], what: str) -> None:
    checked(send_once(command, APPLICATION, number, data, what))


def optional(command: Any, number: int, data: tuple[int, ...]) -> Any:
    answer = command.raw_command(netfn=GROUP_EXTENSION, command=number, data=data)
    return None if "error" in answer else answer["data"]


def checked(answer: Any) -> Any:
    """pyghmi returns some errors instead of raising them."""
    if isinstance(answer, dict) and "error" in answer:
        raise Failure("unsupported" if answer.get("code") in UNSUPPORTED else "refused", str(answer["error"]))
    return answer


OPERATIONS: dict[str, Callable[..., Any]] = {
    "power_state": power_state,
    "set_power": set_power,
    "set_raw": set_raw,
    "info": info,
    "boot": boot,
    "set_boot": set_boot,
    "metrics": metrics,
    "sel": sel,
    "sensors": sensors,
    "firmware": firmware,
    "set_reset": set_reset,
    "lan": lan,
    "set_lan": set_lan,
    "users": users,
    "set_user_name": set_user_name,
    "set_user_access": set_user_access,
    "set_user_enabled": set_user_enabled,
    "set_user_password": set_user_password,
    "user_password_is": user_password_is,
}


def meanings(codes: tuple[int, ...]) -> set[str]:
    """pyghmi's words for completion codes: some of its calls raise them without the code."""
    from pyghmi.ipmi.private import constants

    return {constants.ipmi_completion_codes[code].lower() for code in codes if code in constants.ipmi_completion_codes}


def kind_of(problem: Exception) -> str:
    text = str(problem).lower()
    code = getattr(problem, "ipmicode", 0)
    if "password" in text or "unauthorized" in text or "insufficient privilege" in text or "access denied" in text:
        return "authentication"
    if "insufficient resources" in text:
        return "sessions"
    if "cipher suite" in text or "invalid integrity algorithm" in text or "invalid confidentiality" in text:
        return "cipher"
    if "rakp" in text or "unauthorized" in text:
        return "authentication"  # unknown user, or one who may not have this privilege
    if code in UNSUPPORTED or text in meanings(UNSUPPORTED) or type(problem).__name__ == "UnsupportedFunctionality":
        return "unsupported"
    if "timeout" in text or "no longer connected" in text or not text or text == "none":
        return "unreachable"
    return "refused" if type(problem).__module__.startswith("pyghmi") else "internal"


def serve(requests: SimpleQueue[str]) -> None:
    sessions: dict[tuple[str, int, str], Any] = {}
    while True:
        request = json.loads(requests.get())
        key = (request["address"], request["port"], request["username"])
        answer: dict[str, Any]
        try:
            if request["op"] == "close":
                command = sessions.pop(key, None)
                if command is not None:
                    command.ipmi_session.logout()
                answer = {"result": None}
            else:
                if key not in sessions:
                    sessions[key] = connect(request)
                answer = {"result": OPERATIONS[request["op"]](sessions[key], **request["arguments"])}
        except Failure as problem:
            answer = {"error": {"kind": problem.kind, "text": str(problem)}}
        except Exception as problem:
            kind = kind_of(problem)
            if kind == "unreachable" and key in sessions and request["op"].startswith("set_"):
                kind = "lost"
            answer = {"error": {"kind": kind, "text": f"{type(problem).__name__}: {problem}"}}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def main() -> None:
    """Serve until standard input ends, however busy the main thread is then: nobody waits for an answer any more."""
    global Command
    from pyghmi.ipmi.command import Command as PyghmiCommand

    Command = PyghmiCommand
    requests: SimpleQueue[str] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            requests.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    serve(requests)


if __name__ == "__main__":
    main()
