"""The network operating systems that a leaf of the lab can run, by the name of their dialect."""

from __future__ import annotations

from lab.switches.base import NetworkOs
from lab.switches.nxos import NxOs
from lab.switches.openconfig import Eos, OpenConfig
from lab.switches.sonic import Sonic
from lab.switches.srlinux import SrLinux

SYSTEMS: dict[str, NetworkOs] = {system.name: system for system in (OpenConfig(), Eos(), NxOs(), Sonic(), SrLinux())}

__all__ = ["SYSTEMS", "NetworkOs"]
