"""What a lab is made of: machines, switches, networks and how long things take."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROVISIONING_VLAN = 100
QUARANTINE_VLAN = 666
MANAGEMENT_VLAN = 10
FIRST_TENANT_VLAN = 1001
SERVERS_PER_SWITCH = 32
MAX_SERVERS = 960
# Product lines that a machine's BMC can be (lab/redfish/vendors)
VENDORS = ("ami", "dell", "hpe", "lenovo", "supermicro", "openbmc", "gigabyte", "generic")
FIRST_BLOCK, LAST_BLOCK = 16, 250


@dataclass(frozen=True)
class Delays:
    """How long things take, in simulated seconds."""

    power_s: float  # from the BMC's order until the power rail follows
    post_s: float  # power on until the firmware looks for a boot device
    netboot_s: float  # DHCP, iPXE and the download of kernel and initrd
    agent_start_s: float  # kernel start until the agent asks for work
    image_s: float  # one OS image streamed to disk
    write_file_s: float
    erase_s: float  # cryptographic erase of one drive
    kexec_s: float
    os_start_s: float  # boot loader until SSH answers
    first_boot_s: float  # what cloud-init adds on the first boot
    soft_off_s: float  # orderly shutdown of a running OS
    gpu_reset_s: float
    bmc_reset_s: float
    firmware_s: float = 0  # one image written to its component
    volume_s: float = 0  # a RAID volume made or taken apart


DELAYS: dict[str, Delays] = {
    "none": Delays(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    # long enough to see each step in a live view
    "demo": Delays(
        power_s=0.05,
        post_s=0.5,
        netboot_s=0.3,
        agent_start_s=0.2,
        image_s=0.5,
        write_file_s=0.02,
        erase_s=0.3,
        kexec_s=0.2,
        os_start_s=0.3,
        first_boot_s=0.2,
        soft_off_s=0.2,
        gpu_reset_s=0.2,
        bmc_reset_s=0.5,
        firmware_s=0.5,
        volume_s=0.2,
    ),
    # The order of magnitude of an 8-GPU server. POST: 5 to 10 minutes, most of it memory training and the GPU tray's
    # own start. Power: BMCs report the old state for 5 to 10 s after an order (ironic's redfish and ipmi drivers wait
    # for that). Image: ~10 GB over 10 GbE, written at ~100 MB/s of decompressed stream. Erase: an NVMe cryptographic
    # erase takes seconds whatever the size (`nvme format -s 2`).
    "real": Delays(
        power_s=6,
        post_s=300,
        netboot_s=40,
        agent_start_s=25,
        image_s=120,
        write_file_s=1,
        erase_s=10,
        kexec_s=5,
        os_start_s=45,
        first_boot_s=20,
        soft_off_s=20,
        gpu_reset_s=15,
        bmc_reset_s=120,
        firmware_s=300,
        volume_s=30,
    ),
}


@dataclass(frozen=True)
class Network:
    """A layer-2 segment. ``purpose`` is provisioning, quarantine, management or tenant."""

    name: str
    purpose: str
    vlan: int
    cidr: ipaddress.IPv4Network

    @property
    def gateway(self) -> ipaddress.IPv4Address:
        return self.cidr[1]

    @property
    def vni(self) -> int:
        return 10_000 + self.vlan


# How each network operating system calls its n-th port.
PORT_NAMES: dict[str, Callable[[int], str]] = {
    "openconfig": lambda n: f"Ethernet{n}",
    "eos": lambda n: f"Ethernet{n}",
    "nxos": lambda n: f"eth1/{n}",
    "sonic": lambda n: f"Ethernet{(n - 1) * 4}",  # by lanes
    "srlinux": lambda n: f"ethernet-1/{n}",
}


def port_name(dialect: str, number: int) -> str:
    """Name of a switch's port, which count from 1. Raises KeyError for a dialect that is not known."""
    return PORT_NAMES[dialect](number)


@dataclass(frozen=True)
class SwitchConfig:
    name: str
    username: str = "admin"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)
    dialect: str = "openconfig"


@dataclass(frozen=True)
class MachineConfig:
    """What is fixed about a machine. ``number`` counts from 1."""

    number: int
    name: str
    serial_number: str
    mac: str
    switch: str
    switch_port: str
    rack: str
    pool: str = "default"
    bmc_username: str = "admin"
    bmc_password: str = field(default="", repr=False)
    gpus: int = 8
    vendor: str = "ami"


@dataclass(frozen=True)
class LabConfig:
    """A whole lab. Build one with :func:`make_config`."""

    directory: Path
    networks: tuple[Network, ...]
    switches: tuple[SwitchConfig, ...]
    machines: tuple[MachineConfig, ...]
    delays: Delays
    speed: float = 1.0
    ipmi: bool = False
    block: int = FIRST_BLOCK

    def network(self, purpose: str) -> Network:
        """The first network of a purpose. Raises KeyError when there is none."""
        for network in self.networks:
            if network.purpose == purpose:
                return network
        raise KeyError(f"the lab has no {purpose} network")

    @property
    def tenant_networks(self) -> tuple[Network, ...]:
        return tuple(network for network in self.networks if network.purpose == "tenant")


def make_config(
    directory: Path,
    servers: int = 8,
    speed: float = 1.0,
    delays: str = "none",
    ipmi: bool = False,
    block: int = FIRST_BLOCK,
    vendor: str = "ami",
    dialects: Sequence[str] = (),
) -> LabConfig:
    """A lab of ``servers`` machines.

    ``vendor`` is one of ``VENDORS``, or several with commas between: the machines take turns (``dell,hpe`` makes
    the first a Dell, the second an HPE, the third a Dell again). ``dialects`` is what the switches run, one by one
    (the last goes for those beyond; none: openconfig); more dialects than needed switches means more switches.
    ``block`` is the second octet of its 127.x.0.0/16; labs that run at the same time need different ones. Raises
    ValueError for a size, a vendor, a dialect or a set of delays that does not exist.
    """
    if not 1 <= servers <= MAX_SERVERS:
        raise ValueError(f"servers must be between 1 and {MAX_SERVERS}, not {servers}")
    if delays not in DELAYS:
        raise ValueError(f"delays must be one of {', '.join(DELAYS)}, not {delays!r}")
    if not FIRST_BLOCK <= block <= LAST_BLOCK:
        raise ValueError(f"block must be between {FIRST_BLOCK} and {LAST_BLOCK}, not {block}")
    vendors = [name.strip() for name in vendor.split(",")]
    for name in vendors:
        if name not in VENDORS:
            raise ValueError(f"vendor must be of {', '.join(VENDORS)}, not {name!r}")
    dialects = tuple(dialects) or ("openconfig",)
    for dialect in dialects:
        if dialect not in PORT_NAMES:
            raise ValueError(f"a switch runs one of {', '.join(PORT_NAMES)}, not {dialect!r}")
    needed = -(-servers // SERVERS_PER_SWITCH)
    each = SERVERS_PER_SWITCH if len(dialects) <= needed else -(-servers // len(dialects))
    switches = tuple(
        SwitchConfig(f"leaf{n + 1}", dialect=dialects[min(n, len(dialects) - 1)])
        for n in range(max(needed, len(dialects)))
    )
    machines = tuple(
        _machine(n, block, switches[n // each], n % each, vendors[n % len(vendors)]) for n in range(servers)
    )
    return LabConfig(
        directory=directory,
        networks=_networks(servers, block),
        switches=switches,
        machines=machines,
        delays=DELAYS[delays],
        speed=speed,
        ipmi=ipmi,
        block=block,
    )


def _machine(index: int, block: int, switch: SwitchConfig, port: int, vendor: str) -> MachineConfig:
    return MachineConfig(
        number=index + 1,
        name=f"gpu-{index + 1:03d}",
        serial_number=f"16604230{block:03d}{index + 1:04d}",
        # 02: locally administered
        mac=f"02:47:50:{block:02x}:{(index + 1) >> 8:02x}:{(index + 1) & 255:02x}",
        switch=switch.name,
        switch_port=port_name(switch.dialect, port + 1),
        rack=f"r{index // 4 + 1:02d}",
        # 16 characters: 13 to 20 is what a DGX BMC accepts, 8 to 20 a Supermicro, 10 to 32 a Lenovo
        bmc_password=secrets.token_urlsafe(12),
        vendor=vendor,
    )


def _networks(servers: int, block: int) -> tuple[Network, ...]:
    def net(cidr: str) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network(cidr)

    prefix = 24 if servers <= 240 else 26
    tenants = (
        subnet for third in range(16, 256) for subnet in net(f"127.{block}.{third}.0/24").subnets(new_prefix=prefix)
    )
    return (
        Network("provisioning", "provisioning", PROVISIONING_VLAN, net(f"127.{block}.0.0/22")),
        Network("quarantine", "quarantine", QUARANTINE_VLAN, net(f"127.{block}.4.0/22")),
        Network("management", "management", MANAGEMENT_VLAN, net(f"127.{block}.8.0/22")),
        *(
            Network(f"tenant-{n + 1:03d}", "tenant", FIRST_TENANT_VLAN + n, subnet)
            for n, subnet in zip(range(servers), tenants, strict=False)
        ),
    )
