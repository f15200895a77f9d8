"""What answers on the boot networks: DHCP and iPXE, metadata, and the in-memory OS with its agent.

Faults of layer ``agent``: ``never_appears`` (the in-memory OS runs, no agent asks for work; match ``RUN *``),
``fail_action`` (value: the action's name, or nothing for every one) and ``slow`` (value: simulated seconds more), both
with match ``ACTION <name>``. Of layer ``metadata``: ``status``, ``drop`` (no metadata), ``latency`` (value: real
seconds), ``hang`` and ``wrong`` (a document without user data), with match ``GET *``.
"""

from __future__ import annotations

import asyncio
import ssl
from fnmatch import fnmatchcase
from typing import Any

from lab.fabric import Fabric
from lab.faults import Fault, FaultSet
from lab.kube.store import Event, Key, Object, Store
from lab.machine import Machine
from lab.tinkerbell.actions import ActionError, Effect, Toolbox
from lab.tinkerbell.dialect import State
from lab.tinkerbell.server import Assignment, TinkServer

KERNEL_OCTETS = 400 * 10**6  # kernel and initrd of HookOS, nominal


class HardwareByMac:
    """Finds the Hardware of a MAC address."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._resource = store.kind("tinkerbell.org", "Hardware")
        self._keys: dict[str, set[Key]] = {}
        store.listen(self._on_event)

    def find(self, mac: str) -> tuple[Object, dict[str, Any]] | None:
        """The first Hardware with that MAC, and its interface."""
        for key in sorted(self._keys.get(mac.lower(), ())):
            hardware = self._store.get(self._resource, *key)
            for interface in (hardware.get("spec") or {}).get("interfaces", []):
                if _mac(interface) == mac.lower():
                    return hardware, interface
        return None

    def _on_event(self, event: Event, manager: str) -> None:
        if event.resource != self._resource:
            return
        key = (event.obj["metadata"]["namespace"], event.obj["metadata"]["name"])
        for mac in _macs(event.old):
            self._keys[mac].discard(key)
        if event.type != "DELETED":
            for mac in _macs(event.obj):
                self._keys.setdefault(mac, set()).add(key)


def _mac(interface: dict[str, Any]) -> str:
    return str((interface.get("dhcp") or {}).get("mac", "")).lower()


def _macs(hardware: Object | None) -> set[str]:
    return {_mac(interface) for interface in ((hardware or {}).get("spec") or {}).get("interfaces", [])} - {""}


class BootService:
    """The boot networks' services for every machine of the lab."""

    def __init__(
        self,
        store: Store,
        server: TinkServer,
        fabric: Fabric,
        faults: FaultSet,
        report_tls: ssl.SSLContext | None = None,
    ) -> None:
        self._server = server
        self._fabric = fabric
        self._faults = faults
        self._hardware = HardwareByMac(store)
        self._toolbox = Toolbox(fabric, report_tls)

    async def netboot(self, machine: Machine) -> bool:
        """Whether a network boot is answered: the port is on a boot network and a Hardware allows it."""
        found = self._hardware.find(machine.mac)
        allowed = found is not None and bool((found[1].get("netboot") or {}).get("allowPXE"))
        if not allowed or not self._fabric.boot_network(machine):
            return False
        self._fabric.count(machine, received=KERNEL_OCTETS)
        return True

    async def metadata(self, machine: Machine) -> dict[str, Any] | None:
        """``{userData, vendorData, metadata, hostname}`` of the machine's Hardware; None when it cannot be reached."""
        fault = self._faults.pick(machine.name, "metadata", "GET", "/metadata")
        if fault is not None:
            if fault.kind == "latency":
                await asyncio.sleep(float(fault.value or 1))
            elif fault.kind == "hang":
                await asyncio.Event().wait()
            elif fault.kind != "wrong":
                return None
        found = self._hardware.find(machine.mac)
        if found is None or not self._fabric.boot_network(machine):
            return None
        spec = found[0].get("spec") or {}
        document = {
            "userData": spec.get("userData", ""),
            "vendorData": spec.get("vendorData", ""),
            "metadata": spec.get("metadata") or {},
            "hostname": (found[1].get("dhcp") or {}).get("hostname", ""),
        }
        return document | ({"userData": ""} if fault is not None and fault.kind == "wrong" else {})

    async def run_agent(self, machine: Machine) -> str:
        """The in-memory OS: ask for work, do it, and ask again, until an action takes the system away."""
        if self._strike(machine, "never_appears", "RUN agent"):
            await asyncio.Event().wait()
        while True:
            await self._connected(machine)
            work = self._server.next_action(machine.mac)
            if work is None:
                await self._server.wait_for_work(machine.mac)
                continue
            effect = await self._carry_out(machine, work)
            if effect:
                return effect

    async def _connected(self, machine: Machine) -> None:
        """Wait until the tink server can be reached: it answers on the boot networks only."""
        while not self._fabric.boot_network(machine):
            await self._fabric.wait_for_change()

    async def _carry_out(self, machine: Machine, work: Assignment) -> Effect:
        if not self._server.started(work):
            return ""
        clock = machine.world.clock
        started = clock.elapsed()
        state: State = "SUCCESS"
        message = "action completed"
        effect: Effect = ""
        try:
            effect = await self._within_timeout(machine, work)
        except ActionError as error:
            state, message = "FAILED", str(error)
        except TimeoutError:
            state, message = "TIMEOUT", f"the action did not end within {work.timeout_s} s"
        machine.world.log.add(
            machine.name, "agent", "action", workflow=work.workflow, name=work.name, image=work.image, state=state
        )
        await self._connected(machine)
        accepted = self._server.ended(work, state, clock.elapsed() - started, message)
        return effect if accepted else ""

    async def _within_timeout(self, machine: Machine, work: Assignment) -> Effect:
        """Run the action for its timeout at most. Raises TimeoutError, ActionError."""
        running = asyncio.create_task(self._run(machine, work), name=f"{machine.name} {work.name}")
        waiting: set[asyncio.Task[Any]] = {running}
        limit: asyncio.Task[None] | None = None
        if work.timeout_s:
            limit = asyncio.create_task(machine.world.clock.sleep(work.timeout_s))
            waiting.add(limit)
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                raise TimeoutError
            return running.result()
        finally:
            # also when power is lost: what runs in the agent ends with it (and power may be lost right here, too)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _run(self, machine: Machine, work: Assignment) -> Effect:
        subject = f"ACTION {work.name}"
        if slow := self._strike(machine, "slow", subject):
            await machine.world.clock.sleep(float(slow.value or 60))
        if self._strike(machine, "fail_action", subject, value=work.name):
            raise ActionError("exit status 1")
        return await self._toolbox.run(machine, work.image, work.environment)

    def _strike(self, machine: Machine, kind: str, subject: str, value: str | None = None) -> Fault | None:
        """The fault of that kind that strikes here, used up by one. A fault's value that is not ``value`` spares."""
        for fault in self._faults.standing(machine.name, "agent", kind):
            if not fnmatchcase(subject, fault.match) or (value is not None and fault.value not in (None, value)):
                continue
            if fault.count is not None:
                fault.count -= 1
                if not fault.count:
                    self._faults.clear(id=fault.id)
            return fault
        return None
