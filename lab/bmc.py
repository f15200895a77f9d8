"""What a BMC remembers, whichever protocol asks: accounts, boot override, pending BIOS settings, media and logs."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lab.clock import Clock

LOCKOUT_THRESHOLD = 5  # tries; DGX H100 AccountService
LOCKOUT_SECONDS = 30.0
MAX_ACCOUNTS = 15  # IPMI's user ids 2 to 16
MIN_PASSWORD, MAX_PASSWORD = 13, 20

_ENABLE = ("Enable", "Disable")
_ENABLED = ("Enabled", "Disabled")

# Names as a DGX H100's BIOS 1.1.3 has them: factory default, and what may be written (None: any value of that type).
BIOS_ATTRIBUTES: dict[str, tuple[str | int | bool, tuple[str, ...] | None]] = {
    "ARIEnable": ("Enable", _ENABLE),
    "AcpiSpcrConsoleRedirectionEnable": (True, None),
    "ConsoleRedirectionEnable0": (True, None),
    "EnableSgx": ("Disabled", _ENABLED),
    "EnableTme": ("Disabled", _ENABLED),
    "EndorsementHierarchy": ("Enabled", _ENABLED),
    "Ipv4Http": ("Enabled", _ENABLED),
    "Ipv4Pxe": ("Enabled", _ENABLED),
    "Ipv6Http": ("Enabled", _ENABLED),
    "Ipv6Pxe": ("Disabled", _ENABLED),
    "NetworkStack": ("Enabled", _ENABLED),
    "NumaEn": ("Enable", _ENABLE),
    "PackageCState": ("C6(Retention) state", ("C0/C1 state", "C2 state", "C6(Retention) state", "Auto")),
    "PcieMaxPayload": ("Auto", ("Auto", "128B", "256B", "512B")),
    "PlatformHierarchy": ("Enabled", _ENABLED),
    "PowerControlPolicy": ("Unspecified", ("Unspecified", "Always On", "Always Off", "Last State")),
    "ProcessorHyperThreadingDisable": ("Enabled", _ENABLED),
    "ProcessorVmxEnable": ("Enable", _ENABLE),
    "PromptTimeout": (1, None),
    "PxeBootWaitTime": (0, None),
    "SRIOVEnable": ("Enable", _ENABLE),
    "SecureBootMode": ("Standard", ("Standard", "Custom")),
    "SecureBootSupport": ("Disabled", _ENABLED),
    "SriovSupport": ("Enabled", _ENABLED),
    "StorageHierarchy": ("Enabled", _ENABLED),
    "TpmOperation": ("None", ("None", "TPM Clear")),
    "TpmSupport": ("Enable", _ENABLE),
    "TurboMode": ("Enable", _ENABLE),
    "UmaBasedClustering": ("Quadrant   (4-clusters)", ("Disable(All2All)", "Quadrant   (4-clusters)")),
    "VTdSupport": ("Enable", _ENABLE),
    "VirtualNumaEnable": ("Disable", _ENABLE),
    "WorkLdConfig": ("Balanced", ("Balanced", "I/O sensitive")),
}


@dataclass
class Account:
    """A BMC user. ``role`` is Administrator, Operator or ReadOnly."""

    id: str
    username: str
    password: str = field(repr=False)
    role: str = "Administrator"
    enabled: bool = True
    failures: int = 0
    locked_until: float = 0.0
    must_change: bool = False  # first login: nothing but a new password is accepted


@dataclass(frozen=True)
class AccountRules:
    """What a BMC asks of accounts; the defaults are a DGX H100's. ``threshold`` 0: nobody is ever locked out."""

    threshold: int = LOCKOUT_THRESHOLD
    lockout_s: float = LOCKOUT_SECONDS
    min_password: int = MIN_PASSWORD
    max_password: int = MAX_PASSWORD
    slots: int = MAX_ACCOUNTS
    first_id: int = 2  # of the account that the machine came with


class Accounts:
    """The users of one BMC, with its lockout: so many wrong passwords, then closed for a while."""

    def __init__(self, clock: Clock, username: str, password: str) -> None:
        self._clock = clock
        self.rules = AccountRules()
        self.by_id: dict[str, Account] = {"2": Account("2", username, password)}

    def obey(self, rules: AccountRules) -> None:
        """Another firmware's rules; the accounts there are count from its first id."""
        self.rules = rules
        accounts = list(self.by_id.values())
        for number, account in enumerate(accounts, rules.first_id):
            account.id = str(number)
        self.by_id = {account.id: account for account in accounts}

    def find(self, username: str) -> Account | None:
        return next((account for account in self.by_id.values() if account.username == username), None)

    def locked(self, account: Account) -> bool:
        return account.locked_until > self._clock.elapsed()

    def check(self, username: str, password: str) -> Account | None:
        """The account when name and password fit and it is neither disabled nor locked; a miss is counted."""
        account = self.find(username)
        if account is None or not account.enabled or self.locked(account):
            return None
        if hmac.compare_digest(account.password.encode(), password.encode()):
            account.failures = 0
            return account
        account.failures += 1
        if 0 < self.rules.threshold <= account.failures:
            account.failures = 0
            account.locked_until = self._clock.elapsed() + self.rules.lockout_s
        return None

    def add(self, username: str, password: str, role: str) -> Account:
        """Raises ValueError when the name is taken, the password's length is refused or no slot is free."""
        if self.find(username):
            raise ValueError(f"the account {username} exists")
        slots, first = self.rules.slots, self.rules.first_id
        if len(self.by_id) >= slots:
            raise ValueError(f"all {slots} accounts are in use")
        check_password(password, self.rules)
        id = next(str(n) for n in range(first, first + slots) if str(n) not in self.by_id)
        account = self.by_id[id] = Account(id, username, password, role)
        return account


def check_password(password: str, rules: AccountRules | None = None) -> None:
    """Raises ValueError when a BMC with these rules (None: a DGX H100) would refuse the length."""
    rules = rules or AccountRules()
    if not rules.min_password <= len(password) <= rules.max_password:
        raise ValueError(f"a password has {rules.min_password} to {rules.max_password} characters, not {len(password)}")


@dataclass
class BootOverride:
    """``target`` in Redfish words: None, Pxe, UefiHttp, Cd, Hdd, BiosSetup, …"""

    target: str = "None"
    enabled: str = "Disabled"  # Once, Continuous
    mode: str | None = None  # UEFI, Legacy

    def clear(self) -> None:
        self.target, self.enabled, self.mode = "None", "Disabled", None


@dataclass
class VirtualMedia:
    id: str
    image: str | None = None
    username: str | None = None
    inserted: bool = False
    write_protected: bool = True


@dataclass
class ManagerNetwork:
    """Where the BMC itself is. ``hostname`` empty: made of its MAC; ``vlan`` 0: none."""

    hostname: str = ""
    dhcp: bool = False
    address: str = "127.0.0.1"
    netmask: str = "255.0.0.0"
    gateway: str = "0.0.0.0"  # noqa: S104  none
    vlan: int = 0
    dns_servers: list[str] = field(default_factory=list)
    ntp_servers: list[str] = field(default_factory=list)
    ntp_enabled: bool = False
    ipmi_enabled: bool = True


@dataclass(frozen=True)
class LogRecord:
    """One entry of a Redfish log. ``origin`` is the path of the resource it is about."""

    id: int
    created: datetime
    severity: str
    message: str
    message_id: str
    message_args: tuple[str, ...] = ()
    origin: str | None = None


@dataclass(frozen=True)
class SelRecord:
    """One System Event Log record in IPMI terms."""

    id: int
    created: datetime
    sensor_type: int
    sensor_number: int
    event_type: int
    event_data: tuple[int, int, int]
    message: str
    severity: str = "OK"


@dataclass
class SecureBoot:
    """UEFI Secure Boot: what is set for the next boot, what this boot has, and whose keys there are.

    ``keys`` is factory, deleted or custom; ``keys_pending`` what the next POST makes of them.
    """

    enable: bool = False
    current: bool = False
    keys: str = "factory"
    keys_pending: str | None = None

    def at_post(self) -> None:
        self.keys, self.keys_pending = self.keys_pending or self.keys, None
        self.current = self.enable and self.keys != "deleted"


class Bmc:
    """State behind both protocols of one machine's BMC."""

    def __init__(self, clock: Clock, username: str, password: str) -> None:
        self.clock = clock
        self.accounts = Accounts(clock, username, password)
        self.override = BootOverride()
        self.bios: dict[str, Any] = {name: default for name, (default, _) in BIOS_ATTRIBUTES.items()}
        self.bios_pending: dict[str, Any] = {}
        # Attributes that are orders, carried out in one POST: name and what they read afterwards
        self.bios_orders: dict[str, Any] = {"TpmOperation": "None"}
        self.on_bios: list[Callable[[dict[str, Any]], None]] = []  # told of what a POST took over
        self.boot_order_pending: list[str] | None = None
        self.secure_boot = SecureBoot()
        self.media: dict[str, VirtualMedia] = {}
        self.network = ManagerNetwork()
        self.sel: list[SelRecord] = []
        self.event_log: list[LogRecord] = []  # of the GPU baseboard
        self.on_event: list[Callable[[LogRecord], None]] = []
        self.ipmi_port: int | None = None
        self.resets = 0
        self.away_until = 0.0  # clock.elapsed() when a restarted BMC answers again
        self._next_event = 1
        self._next_sel = 1

    @property
    def away(self) -> bool:
        return self.away_until > self.clock.elapsed()

    def event(
        self,
        severity: str,
        message: str,
        message_id: str,
        message_args: tuple[str, ...] = (),
        origin: str | None = None,
    ) -> LogRecord:
        record = LogRecord(self._next_event, self.clock.now(), severity, message, message_id, message_args, origin)
        self._next_event += 1
        self.event_log.append(record)
        for callback in self.on_event:
            callback(record)
        return record

    def sel_event(
        self,
        sensor_type: int,
        sensor_number: int,
        event_type: int,
        event_data: tuple[int, int, int],
        message: str,
        severity: str = "OK",
    ) -> SelRecord:
        record = SelRecord(
            self._next_sel, self.clock.now(), sensor_type, sensor_number, event_type, event_data, message, severity
        )
        self._next_sel += 1
        self.sel.append(record)
        return record
