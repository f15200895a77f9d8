"""IPMI over LAN (RMCP+) for every machine, on pyghmi's server side.

pyghmi's own server wants a thread that selects and another that pumps; here its sockets hang in the lab's event loop
instead. What its server leaves open is closed: a client that offers no suite it knows is told so (RMCP+ status 0x11,
without which newer clients hang), unknown users and too high privileges are refused, sessions end.

Faults of layer ``ipmi`` are picked with method and path ``<network function> <command>``, two hexadecimal digits each,
``00 02`` being chassis control: ``drop`` (no answer), ``status`` (value: completion code), ``latency`` (value: real
seconds). ``no_cipher`` is a condition: no cipher suite is agreed to, as on a BMC that wants one which nobody offers.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import time
import uuid
from collections.abc import Callable
from typing import Any

from pyghmi.ipmi.bmc import Bmc
from pyghmi.ipmi.private import constants, serversession
from pyghmi.ipmi.private import session as ipmisession

from lab.bmc import MAX_ACCOUNTS, Account, check_password
from lab.clock import Clock
from lab.ipmi_tables import (
    MANUFACTURER_ID,
    fru_inventory,
    ipmi_sensors,
    sdr_repository,
    sel_records,
    sensor_reading,
    threshold_bytes,
)
from lab.machine import Machine, PowerAction
from lab.rmcp import presence_pong
from lab.sensors import ambient_celsius, host_sensors

logger = logging.getLogger(__name__)

SESSION_IDLE_S = 60.0
MAX_SESSIONS = 36  # CommandShell MaxConcurrentSessions of a DGX H100

# RMCP+ status codes (table 13-15)
NO_MATCHING_SUITE = 0x11
UNAUTHORIZED_PRIVILEGE = 0x09
UNAUTHORIZED_NAME = 0x0D
# completion codes (table 5-2)
INVALID_COMMAND = 0xC1
NOT_IN_THIS_STATE = 0xD5
INVALID_FIELD = 0xCC
NOT_PRESENT = 0xCB
LENGTH_INVALID = 0xC7
INSUFFICIENT_PRIVILEGE = 0xD4
PARAMETER_NOT_SUPPORTED = 0x80

PRIVILEGES = {"ReadOnly": 2, "Operator": 3, "Administrator": 4}
POWER_ACTIONS: dict[int, PowerAction] = {0: "off", 1: "on", 2: "cycle", 3: "reset", 5: "soft"}
BOOT_DEVICES = {0: "None", 1: "Pxe", 2: "Hdd", 5: "Cd", 6: "BiosSetup", 15: "Usb"}  # table 28-14, parameter 5
WRITES = {
    (0x00, 0x02),
    (0x00, 0x08),
    (0x06, 0x02),
    (0x06, 0x03),
    (0x06, 0x43),
    (0x06, 0x45),
    (0x06, 0x47),
    (0x0A, 0x47),
    (0x0C, 0x01),
}

Answer = bytes | int  # data of a success, or a completion code


class _Passwords:
    """pyghmi looks passwords up by name; these are the BMC's present ones."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def get(self, username: str) -> str | None:
        accounts = self._machine.bmc.accounts
        account = accounts.find(username)
        if account is None or not account.enabled or accounts.locked(account):
            return None
        # RMCP+ has no way of changing a password while logging in, so that one that has to be changed opens nothing
        # (OpenBMC, designs/expired-password.md)
        return None if account.must_change else account.password


class _Session(serversession.ServerSession):  # type: ignore[misc]
    """A session as pyghmi has it, with the refusals it leaves out."""

    clientpriv = 0
    spoiled: str | None = None  # what is wrong with the packet that goes out: checksum, integrity

    def __new__(cls, *_: Any) -> _Session:
        new: _Session = object.__new__(cls)  # the base classes' takes the very arguments of its own __init__
        return new

    def __init__(self, owner: IpmiBmc, client: Any, request: bytearray) -> None:
        self.used_at = time.monotonic()
        self.refused = False
        super().__init__(owner.authdata, owner.kg, client, owner.serversocket, request, owner.uuid, bmc=owner)
        # the base class files itself in a table that nobody clears; the owner keeps its own
        ipmisession.Session.bmc_handlers.pop(client, None)

    def send_payload(self, payload: Any = (), *arguments: Any, **options: Any) -> None:
        if self.spoiled == "checksum":
            payload = bytearray(payload)
            payload[-1] ^= 0xFF
        super().send_payload(payload, *arguments, **options)

    def _xmit_packet(self, *arguments: Any, **options: Any) -> None:
        if self.spoiled == "integrity":
            self.netpacket[-1] ^= 0xFF
        super()._xmit_packet(*arguments, **options)

    def create_open_session_response(self, request: bytes) -> bytearray:
        offered = bytes(request[12:13] + request[20:21] + request[28:29])
        machine = self.bmc.machine
        hardened = machine.world.faults.standing(machine.name, "ipmi", "no_cipher")
        if offered == b"\x01\x01\x01" and not hardened:  # suite 3: HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128
            answer: bytearray = super().create_open_session_response(request)
            return answer
        self.refused = True
        return bytearray([request[0], NO_MATCHING_SUITE, 0, 0]) + bytearray(request[4:8])

    def _got_rakp1(self, data: bytearray) -> None:
        if self.refused:
            return
        username = bytes(data[28 : 28 + data[27]]).decode(errors="replace")
        account = self.bmc.machine.bmc.accounts.find(username)
        if account is None or self.bmc.authdata.get(username) is None:
            self._refuse(data[0], UNAUTHORIZED_NAME)
        elif data[24] & 0b1111 > PRIVILEGES[account.role]:
            self._refuse(data[0], UNAUTHORIZED_PRIVILEGE)
        else:
            super()._got_rakp1(data[: 28 + data[27]])

    def _refuse(self, tag: int, status: int) -> None:
        answer = bytearray([tag, status, 0, 0]) + bytearray(self.clientsessionid)
        self.send_payload(answer, constants.payload_types["rakp2"], retry=False)
        self.close_server_session()

    def _got_rakp3(self, data: bytearray) -> None:
        if hasattr(self, "Rm"):
            super()._got_rakp3(data)

    def close_server_session(self) -> None:
        self.bmc.forget(self)


class IpmiBmc(Bmc):  # type: ignore[misc]
    """One machine's BMC on a UDP port of its own."""

    def __init__(self, machine: Machine, host: str = "127.0.0.1", port: int = 0) -> None:
        # Not the base class's: that one starts threads.
        self.machine = machine
        self.authdata = _Passwords(machine)
        self.kg = None
        self.uuid = uuid.uuid5(uuid.NAMESPACE_OID, f"bmc/{machine.serial_number}")
        self.authcap = struct.pack("9B", 0, 1, 0b1000_0000, 0b0000_0100, 0b0000_0010, 0, 0, 0, 0)
        self.serversocket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.serversocket.bind((host, port))
        self.serversocket.setblocking(False)
        self.port = self.serversocket.getsockname()[1]
        self._sessions: dict[Any, _Session] = {}
        self._resets = machine.bmc.resets
        self._reservation = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._commands: dict[tuple[int, int], Callable[[bytes, _Session], Answer]] = {
            (0x00, 0x00): lambda data, session: bytes([0x00, BMC, BMC, BMC, BMC]),
            (0x00, 0x01): self._chassis_status,
            (0x00, 0x02): self._chassis_control,
            (0x00, 0x04): lambda data, session: b"",  # identify
            (0x00, 0x08): self._set_boot_options,
            (0x00, 0x09): self._boot_options,
            (0x04, 0x27): self._sensor_thresholds,
            (0x04, 0x2D): self._sensor_reading,
            (0x06, 0x01): self._device_id,
            (0x06, 0x02): self._cold_reset,
            (0x06, 0x03): self._cold_reset,  # a warm one is no other here: sessions end with both
            (0x06, 0x04): lambda data, session: bytes([0x55, 0x00]),  # self test: nothing wrong
            (0x06, 0x37): lambda data, session: bytes(self.uuid.bytes_le),
            (0x06, 0x42): lambda data, session: bytes([0x01, 0x04, 0x01, 0x80, 0xF2, 0x1B, 0x00, 0x00, 0x00]),
            (0x06, 0x43): self._set_user_access,
            (0x06, 0x44): self._user_access,
            (0x06, 0x45): self._set_user_name,
            (0x06, 0x46): self._user_name,
            (0x06, 0x47): self._set_user_password,
            (0x0A, 0x10): self._fru_size,
            (0x0A, 0x11): self._read_fru,
            (0x0A, 0x20): self._sdr_info,
            (0x0A, 0x22): self._reserve,
            (0x0A, 0x23): self._get_sdr,
            (0x0A, 0x40): self._sel_info,
            (0x0A, 0x42): self._reserve,
            (0x0A, 0x43): self._get_sel,
            (0x0A, 0x47): self._clear_sel,
            (0x0A, 0x48): lambda data, session: struct.pack("<I", int(self._clock.now().timestamp())),
            (0x0C, 0x01): self._set_lan_parameter,
            (0x0C, 0x02): self._lan_parameter,
            (0x2C, 0x02): self._dcmi_power,
            (0x2C, 0x10): self._dcmi_temperature,
        }

    @property
    def _clock(self) -> Clock:
        return self.machine.world.clock

    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self.serversocket.fileno(), self._readable)
        self.machine.bmc.ipmi_port = self.port

    async def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.serversocket.fileno())
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.serversocket.close()
        self.machine.bmc.ipmi_port = None

    # --- packets and sessions

    def _readable(self) -> None:
        self.serversocket.setblocking(False)  # pyghmi makes it blocking to send
        while True:
            try:
                data, client = self.serversocket.recvfrom(4096)
            except (BlockingIOError, ConnectionError):
                return
            try:
                self._packet(bytearray(data), client)
            except Exception:
                logger.exception("%s: IPMI packet from %s", self.machine.name, client)
            self.serversocket.setblocking(False)

    def _packet(self, data: bytearray, client: Any) -> None:
        if self.machine.world.faults.standing(self.machine.name, "ipmi", "silent"):
            return
        if self._resets != self.machine.bmc.resets:
            self._resets = self.machine.bmc.resets
            self._sessions.clear()
        if not self.machine.bmc.network.ipmi_enabled:
            return
        if not self.machine.bmc.away and (pong := presence_pong(data)) is not None:
            self.serversocket.sendto(pong, client)
            return
        if self.machine.bmc.away or len(data) < 16 or data[0] != 6 or data[3] & 0x1F != 7:
            return
        opens = data[4] == 6 and data[5] & 0x3F == 0x10
        session = self._sessions.get(client)
        if opens:
            self._expire()
            if len(self._sessions) < MAX_SESSIONS:
                opened = _Session(self, client, data[16:])
                if not opened.refused:
                    self._sessions[client] = opened
        elif session is not None and data[4] == 6 and (data[6:10] != b"\0\0\0\0" or data[5] & 0x3F >= 0x10):
            session.used_at = time.monotonic()
            session._handle_ipmi_packet(data, sockaddr=client, qent=(data, client, self.serversocket))
        elif len(data) >= 22:
            self.sessionless_data(data, client)

    def _expire(self) -> None:
        oldest = time.monotonic() - SESSION_IDLE_S
        self._sessions = {client: s for client, s in self._sessions.items() if s.used_at >= oldest}

    def forget(self, session: _Session) -> None:
        self._sessions = {client: s for client, s in self._sessions.items() if s is not session}

    # --- requests

    def handle_raw_request(self, request: dict[str, Any], session: _Session) -> None:
        key = (int(request["netfn"]), int(request["command"]))
        data = bytes(request["data"])
        fault = self.machine.world.faults.pick(self.machine.name, "ipmi", f"{key[0]:02x}", f"{key[1]:02x}")
        if fault is not None:
            if fault.kind == "status":
                session.send_ipmi_response(code=int(fault.value or 0xC0))
                return
            if fault.kind in ("checksum", "integrity"):
                session.spoiled = fault.kind
                self._answer(key, data, session)
                session.spoiled = None
                return
            if fault.kind != "latency":
                return
            self._later(self._answer_late(float(fault.value or 1), key, data, session))
            return
        self._answer(key, data, session)

    def _answer(self, key: tuple[int, int], data: bytes, session: _Session) -> None:
        command = self._commands.get(key)
        if command is None:
            session.send_ipmi_response(code=INVALID_COMMAND)
            return
        if key in WRITES and session.clientpriv and session.clientpriv < PRIVILEGES["Operator"]:
            session.send_ipmi_response(code=INSUFFICIENT_PRIVILEGE)
            return
        try:
            answer = command(data, session)
        except (IndexError, struct.error):
            answer = LENGTH_INVALID
        if key in WRITES:
            self.machine.world.log.add(
                self.machine.name,
                "ipmi",
                f"{key[0]:02x} {key[1]:02x}",
                by=bytes(session.username).decode(errors="replace"),
                data="" if key == (0x06, 0x47) else data.hex(" "),
                code=answer if isinstance(answer, int) else 0,
            )
        if isinstance(answer, int):
            session.send_ipmi_response(code=answer)
        else:
            session.send_ipmi_response(data=list(answer))

    async def _answer_late(self, seconds: float, key: tuple[int, int], data: bytes, session: _Session) -> None:
        await asyncio.sleep(seconds)
        self._answer(key, data, session)

    def _later(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- chassis

    def _chassis_status(self, data: bytes, session: _Session) -> Answer:
        return bytes([0x20 | (self.machine.power == "On"), 0x00, 0x00, 0x00])  # policy: as before the power went

    def _chassis_control(self, data: bytes, session: _Session) -> Answer:
        action = POWER_ACTIONS.get(data[0] & 0xF)
        if action is None:
            return INVALID_FIELD
        if action in ("cycle", "reset") and self.machine.power == "Off":
            return NOT_IN_THIS_STATE
        self._later(self.machine.power_action(action, by="ipmi"))
        return b""

    def _set_boot_options(self, data: bytes, session: _Session) -> Answer:
        parameter = data[0] & 0x7F
        if parameter in (0, 3, 4):  # in progress, valid bits, acknowledgement
            return b""
        if parameter != 5:
            return PARAMETER_NOT_SUPPORTED
        flags, device = data[1], (data[2] >> 2) & 0xF
        override = self.machine.bmc.override
        target = BOOT_DEVICES.get(device)
        if target is None:
            return INVALID_FIELD
        if not flags & 0x80 or target == "None":
            override.clear()
            return b""
        override.target = target
        override.enabled = "Continuous" if flags & 0x40 else "Once"
        override.mode = "UEFI" if flags & 0x20 else "Legacy"
        return b""

    def _boot_options(self, data: bytes, session: _Session) -> Answer:
        parameter = data[0] & 0x7F
        if parameter in (0, 3):
            return bytes([1, parameter, 0])
        if parameter == 4:
            return bytes([1, 4, 0, 0])
        if parameter != 5:
            return PARAMETER_NOT_SUPPORTED
        override = self.machine.bmc.override
        if override.enabled == "Disabled":
            return bytes([1, 5, 0, 0, 0, 0, 0])
        numbers = {target: number for number, target in BOOT_DEVICES.items()}
        flags = 0x80 | (0x40 if override.enabled == "Continuous" else 0) | (0x20 if override.mode == "UEFI" else 0)
        return bytes([1, 5, flags, numbers.get(override.target, 0) << 2, 0, 0, 0])

    # --- the BMC itself

    def _device_id(self, data: bytes, session: _Session) -> Answer:
        # device 32, revision 1 with SDRs, firmware 23.11, IPMI 2.0, everything but bridge and event generator
        head = bytes([0x20, 0x81, 23, 0x11, 0x02, 0x8F])
        return head + MANUFACTURER_ID.to_bytes(3, "little") + bytes([0x00, 0x01, 0x20, 0x00, 0x00, 0x00])

    def _cold_reset(self, data: bytes, session: _Session) -> Answer:
        async def restart() -> None:
            await asyncio.sleep(0.05)  # the answer goes out first
            bmc = self.machine.bmc
            self.machine.world.log.add(self.machine.name, "machine", "bmc.reset", by="ipmi")
            bmc.resets += 1
            bmc.away_until = self._clock.elapsed() + self.machine.world.delays.bmc_reset_s

        self._later(restart())
        return b""

    def _lan_parameter(self, data: bytes, session: _Session) -> Answer:
        network = self.machine.bmc.network
        values = {
            0: bytes([0]),  # set complete
            1: bytes([0x80]),
            3: socket.inet_aton(network.address),
            4: bytes([2 if network.dhcp else 1]),
            5: bytes.fromhex(("06" + self.machine.mac[2:]).replace(":", "")),
            6: socket.inet_aton(network.netmask),
            12: socket.inet_aton(network.gateway),
            13: bytes(6),
            20: struct.pack("<H", network.vlan | 0x8000 if network.vlan else 0),
        }
        found = values.get(data[1])
        return PARAMETER_NOT_SUPPORTED if found is None else bytes([0x11]) + found

    def _set_lan_parameter(self, data: bytes, session: _Session) -> Answer:
        """What is set is remembered; over IPMI this BMC stays where it is until Redfish or a restart moves it."""
        network, value = self.machine.bmc.network, data[2:]
        if data[1] == 0:
            return b""
        if data[1] == 4:
            network.dhcp = value[0] & 0xF == 2
        elif data[1] in (3, 6, 12):
            setattr(network, {3: "address", 6: "netmask", 12: "gateway"}[data[1]], socket.inet_ntoa(value[:4]))
        elif data[1] == 20:
            number = int(struct.unpack("<H", value[:2])[0])
            network.vlan = number & 0xFFF if number & 0x8000 else 0
        else:
            return PARAMETER_NOT_SUPPORTED
        return b""

    # --- users

    def _user(self, number: int) -> Account | None:
        return self.machine.bmc.accounts.by_id.get(str(number & 0x3F))

    def _user_access(self, data: bytes, session: _Session) -> Answer:
        accounts = self.machine.bmc.accounts.by_id
        user = self._user(data[1])
        privilege = PRIVILEGES[user.role] if user else 0x0F
        return bytes([16, (0x40 if user and user.enabled else 0x80) | len(accounts), 0, 0x30 | privilege])

    def _set_user_access(self, data: bytes, session: _Session) -> Answer:
        user = self._user(data[1])
        role = next((name for name, number in PRIVILEGES.items() if number == data[2] & 0xF), None)
        if user is None:
            return INVALID_FIELD
        if role is None:  # no access
            user.enabled = False
        else:
            user.role = role
        return b""

    def _user_name(self, data: bytes, session: _Session) -> Answer:
        user = self._user(data[0])
        return (user.username if user else "").encode()[:16].ljust(16, b"\0")

    def _set_user_name(self, data: bytes, session: _Session) -> Answer:
        """A name makes an account in an empty slot, disabled and without password; an empty one frees the slot."""
        number, user = data[0] & 0x3F, self._user(data[0])
        name = data[1:17].rstrip(b"\0").decode("ascii", errors="replace")
        accounts = self.machine.bmc.accounts
        if not 2 <= number < 2 + MAX_ACCOUNTS or (name and accounts.find(name) not in (None, user)):
            return INVALID_FIELD
        if not name:
            accounts.by_id.pop(str(number), None)
        elif user is None:
            accounts.by_id[str(number)] = Account(str(number), name, "", "ReadOnly", enabled=False)
        else:
            user.username = name
        return b""

    def _set_user_password(self, data: bytes, session: _Session) -> Answer:
        user = self._user(data[0])
        if user is None:
            return INVALID_FIELD
        operation = data[1] & 3
        password = data[2:22].rstrip(b"\0").decode("ascii", errors="replace")
        if operation in (0, 1):
            user.enabled = operation == 1
        elif operation == 3:
            return b"" if password == str(user.password) else PARAMETER_NOT_SUPPORTED
        else:
            try:
                check_password(password)
            except ValueError:
                return INVALID_FIELD
            user.password = password
        return b""

    # --- inventory, sensors, log

    def _fru_size(self, data: bytes, session: _Session) -> Answer:
        return NOT_PRESENT if data[0] else struct.pack("<HB", len(fru_inventory(self.machine)), 0)

    def _read_fru(self, data: bytes, session: _Session) -> Answer:
        device, offset, count = struct.unpack("<BHB", data[:4])
        if device:
            return NOT_PRESENT
        part = fru_inventory(self.machine)[offset : offset + count]
        return bytes([len(part)]) + part

    def _reserve(self, data: bytes, session: _Session) -> Answer:
        self._reservation = self._reservation % 0xFFFF + 1
        return struct.pack("<H", self._reservation)

    def _sdr_info(self, data: bytes, session: _Session) -> Answer:
        return struct.pack("<BHHIIB", 0x51, len(sdr_repository(self.machine)), 0, 0, 0, 0x22)

    def _get_sdr(self, data: bytes, session: _Session) -> Answer:
        id, offset, count = int.from_bytes(data[2:4], "little"), data[4], data[5]
        records = sdr_repository(self.machine)
        if id >= len(records):
            return NOT_PRESENT
        following = id + 1 if id + 1 < len(records) else 0xFFFF
        return struct.pack("<H", following) + records[id][offset : offset + count]

    def _sensor_reading(self, data: bytes, session: _Session) -> Answer:
        item = next((item for item in ipmi_sensors(self.machine) if item.number == data[0]), None)
        return NOT_PRESENT if item is None else sensor_reading(item)

    def _sensor_thresholds(self, data: bytes, session: _Session) -> Answer:
        item = next((item for item in ipmi_sensors(self.machine) if item.number == data[0]), None)
        return NOT_PRESENT if item is None else threshold_bytes(item)

    def _sel_info(self, data: bytes, session: _Session) -> Answer:
        records = self.machine.bmc.sel
        last = int(records[-1].created.timestamp()) if records else 0xFFFFFFFF
        return struct.pack("<BHHIIB", 0x51, len(records), 0xFFFF, last, 0xFFFFFFFF, 0x02)

    def _get_sel(self, data: bytes, session: _Session) -> Answer:
        id, offset, count = int.from_bytes(data[2:4], "little"), data[4], data[5]
        records = list(sel_records(self.machine))
        ids = [record.id for record in self.machine.bmc.sel]
        if not ids:
            return NOT_PRESENT
        wanted = {0: ids[0], 0xFFFF: ids[-1]}.get(id, id)
        if wanted not in ids:
            return NOT_PRESENT
        place = ids.index(wanted)
        following = ids[place + 1] if place + 1 < len(ids) else 0xFFFF
        return struct.pack("<H", following) + records[place][offset : offset + min(count, 16)]

    def _clear_sel(self, data: bytes, session: _Session) -> Answer:
        if data[2:5] != b"CLR":
            return INVALID_FIELD
        if data[5] == 0xAA:
            self.machine.bmc.sel.clear()
        return bytes([0x01])  # erasure complete

    # --- DCMI

    def _dcmi_power(self, data: bytes, session: _Session) -> Answer:
        if data[:1] != b"\xdc":
            return INVALID_FIELD
        watts = next(s.reading for s in host_sensors(self.machine) if s.id == "PWR_SYSTEM") or 0
        now = round(watts)
        stamp = int(self._clock.now().timestamp())
        return struct.pack("<BHHHHIIB", 0xDC, now, now, now, now, stamp, 1000, 0x40)

    def _dcmi_temperature(self, data: bytes, session: _Session) -> Answer:
        if data[:1] != b"\xdc":
            return INVALID_FIELD
        if data[2] not in (0x37, 0x40):  # inlet, by its old and its new entity id
            return bytes([0xDC, 0, 0])
        return bytes([0xDC, 1, 1, round(ambient_celsius(self.machine)) & 0x7F, 1])


BMC = 0x20  # slave address in Get Chassis Capabilities


class IpmiBmcs:
    """The IPMI side of many machines."""

    def __init__(self, machines: list[Machine]) -> None:
        self._machines = machines
        self._bmcs: list[IpmiBmc] = []

    async def start(self, host: str = "127.0.0.1") -> None:
        """Raises OSError when a port cannot be had."""
        for machine in self._machines:
            bmc = IpmiBmc(machine, host)
            bmc.start()
            self._bmcs.append(bmc)

    async def close(self) -> None:
        for bmc in self._bmcs:
            await bmc.close()
