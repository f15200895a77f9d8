# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""A BMC through Redfish (DSP0266, DSP0268), with the vendor's profile applied."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, TypeVar
from urllib.parse import quote

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc import vendors
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import (
    Bios,
    Bmc,
    BmcInfo,
    Boot,
    BootTarget,
    Metrics,
    PowerAction,
    PowerState,
    ServerState,
    Task,
    no_facet,
    not_offered,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.licences import missing
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish import fabric, gpus, jobs, parts, readings
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.boot import TARGET_NAMES, RedfishBoot
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.licences import RedfishLicences
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.power import RedfishPower, power_state_of
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.registry import (
    check_attributes,
    registry_paths,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.tasks import task_of
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.transport import (
    ROOT,
    SYSTEMS,
    RedfishTransport,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import (
    dig,
    integer,
    leaf,
    link,
    links,
    table,
    tables,
    text,
    texts,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Unsupported,
)

F = TypeVar("F")

MANAGERS = "/redfish/v1/Managers"
_APPLY_TIMES = {"on_reset": "OnReset", "immediate": "Immediate"}


class RedfishBmc(Bmc):
    """One BMC over one `RedfishTransport`.

    :param timeout: seconds that each operation may take in all.
    :param system_id: Id of the System that is the host; None: found out.
    """

    protocol = "redfish"

    def __init__(
        self,
        transport: RedfishTransport,
        *,
        timeout: float,
        system_id: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.transport = transport
        self.timeout = timeout
        self.sleep = sleep
        self._system_id = system_id
        self._system_path: str | None = None
        self._known_profile: vendors.Profile | None = None
        self._known_root: dict[str, Any] | None = None

    @property
    def host(self) -> str:
        return self.transport.host

    def close(self) -> None:
        self.transport.close()

    def facet(self, *, redfish: Callable[[Any], F] | None = None, ipmi: Callable[[Any], F] | None = None) -> F:
        if redfish is None:
            raise no_facet("Redfish", self.host, "ipmi")
        self.transport.use_session()
        return redfish(self)

    # -- finding the way ----------------------------------------------------------------------------------------------

    def deadline(self) -> Deadline:
        """The time that one operation may take, from now."""
        return Deadline(self.timeout)

    def root(self, deadline: Deadline) -> dict[str, Any]:
        """The service root, read once."""
        if self._known_root is None:
            self._known_root = self.transport.get(ROOT, deadline)
        return self._known_root

    @property
    def system_path(self) -> str:
        """Where the host's System is; empty until it has been read."""
        return self._system_path or ""

    def system(self, deadline: Deadline) -> dict[str, Any]:
        """The host's System resource, read afresh."""
        if self._system_path is None:
            path = self._find_system(deadline)
            system = self._read_system(path, deadline)
            self._system_path = path
            return system
        return self.transport.get(self._system_path, deadline)

    def _find_system(self, deadline: Deadline) -> str:
        if self._system_id is not None:
            return f"{SYSTEMS}/{quote(self._system_id)}"
        paths = self.transport.members(SYSTEMS, deadline)
        by_id = {leaf(path): path for path in paths}
        if len(by_id) == 1:
            return paths[0]
        host = vendors.host_among(list(by_id))
        if host is not None:
            return by_id[host]
        if not by_id:
            if self.transport.get_optional(ROOT, deadline) is None:
                raise NotFound(
                    "there is no Redfish service",
                    code="no_redfish",
                    host=self.host,
                    tried=f"GET {ROOT}",
                    answer="404",
                    next="Check address and port, or set bmc_protocol=ipmi.",
                )
            raise NotFound(
                "the BMC shows no System",
                host=self.host,
                tried=f"GET {SYSTEMS}",
                answer="no members",
                next="Restart the BMC; some show nothing until the host has passed POST once.",
            )
        raise InvalidInput(
            "the BMC shows several Systems and it is not known which is the host",
            code="ambiguous_system",
            host=self.host,
            tried=f"GET {SYSTEMS}",
            answer=", ".join(sorted(by_id)),
            next="Set system_id to one of them.",
        )

    def _read_system(self, path: str, deadline: Deadline) -> dict[str, Any]:
        try:
            return self.transport.get(path, deadline)
        except NotFound:
            if self._system_id is None:
                raise
            offered = sorted(leaf(found) for found in self.transport.members(SYSTEMS, deadline))
            raise NotFound(
                f"the BMC has no System {self._system_id}",
                host=self.host,
                tried=f"GET {path}",
                answer=f"Systems: {', '.join(offered) or 'none'}",
                next="Set system_id to one of these.",
            ) from None

    def profile(self, deadline: Deadline, system: dict[str, Any] | None = None) -> vendors.Profile:
        """What is known of this vendor's product; found out once."""
        if self._known_profile is None:
            root = self.root(deadline)
            self._known_profile = vendors.profile_for(root, system or self.system(deadline))
        return self._known_profile

    def check_lockdown(self, deadline: Deadline) -> None:
        """Raise `Conflict` where the BMC is set to take no changes: it would refuse the one or the other half way."""
        lockdown = self.profile(deadline).lockdown
        if lockdown is None:
            return
        path, attribute, value = lockdown
        found = table((self.transport.get_optional(path, deadline) or {}).get("Attributes"))
        if found.get(attribute) == value:
            raise Conflict(
                "the BMC is locked down and takes no changes",
                code="lockdown",
                host=self.host,
                tried=f"reading {attribute}",
                answer=value,
                next="Lift the lockdown on the BMC, and run again.",
            )

    # -- power --------------------------------------------------------------------------------------------------------

    def power_state(self) -> PowerState | None:
        return power_state_of(self.system(self.deadline()))

    def state(self) -> ServerState:
        system = self.system(self.deadline())
        power = power_state_of(system)
        status = table(system.get("Status"))
        return ServerState(
            power.value if power else None, text(status.get("HealthRollup")) or text(status.get("Health"))
        )

    def set_power(self, action: PowerAction, *, wait_timeout: float | None) -> Task | None:
        self.transport.use_session()
        return RedfishPower(self).carry_out(action, wait_timeout)

    def check_power(self, action: PowerAction) -> None:
        self.transport.use_session()
        RedfishPower(self).check(action)

    def reset_action(
        self, system: dict[str, Any], profile: vendors.Profile, deadline: Deadline
    ) -> tuple[str, tuple[str, ...]]:
        """Where to POST a reset and the ResetTypes on offer, from the action, its ActionInfo, or else the profile."""
        action = table(dig(system, "Actions", "#ComputerSystem.Reset"))
        target = text(action.get("target")) or f"{self._system_path}/Actions/ComputerSystem.Reset"
        offered = texts(action.get("ResetType@Redfish.AllowableValues"))
        if not offered:
            info = self.transport.get_optional(text(action.get("@Redfish.ActionInfo")), deadline)
            for parameter in tables(dig(info, "Parameters")):
                if parameter.get("Name") == "ResetType":
                    offered = texts(parameter.get("AllowableValues"))
        return target, tuple(offered) or profile.reset_types

    # -- inventory ----------------------------------------------------------------------------------------------------

    def info(self, subset: Collection[str]) -> BmcInfo:
        deadline = self.deadline()
        if set(subset) != {"power"}:
            self.transport.use_session()
        found = BmcInfo(protocol=self.protocol)
        system = self.system(deadline)
        if "power" in subset:
            state = power_state_of(system)
            found.power_state = state.value if state else None
        if "health" in subset:
            status = table(system.get("Status"))
            found.health = text(status.get("HealthRollup")) or text(status.get("Health"))
        if "system" in subset:
            found.manufacturer = text(system.get("Manufacturer"))
            found.model = text(system.get("Model"))
            found.serial_number = text(system.get("SerialNumber"))
            found.cpu_count = integer(dig(system, "ProcessorSummary", "Count"))
            found.memory_gb = integer(dig(system, "MemorySummary", "TotalSystemMemoryGiB"))
        if "bios" in subset:
            found.bios_version = text(system.get("BiosVersion"))
        if "managers" in subset:
            found.bmc_firmware_version = self._firmware_version(system, deadline)
        if {"gpus", "links"} & set(subset):
            known = gpus.found(self.transport, self.profile(deadline, system), deadline)
            if "gpus" in subset:
                found.gpus = [gpu for gpu, _resource in known]
            if "links" in subset:
                found.links = gpus.links(known)
        if "fabric" in subset:
            # it runs in the server's system: without power it cannot
            on = power_state_of(system) is PowerState.ON
            found.findings = fabric.findings(self.transport, self.profile(deadline, system), deadline) if on else []
        self._parts(subset, system, found)
        if "capabilities" in subset:
            found.capabilities = self._capabilities(system, deadline)
        return found

    def _parts(self, subset: Collection[str], system: dict[str, Any], found: BmcInfo) -> None:
        """The lists of parts, a request for each part: each list has the time of an operation of its own."""
        if "memory" in subset:
            found.dimms = parts.dimms(self.transport, system, self.deadline())
        if "drives" in subset:
            found.drives = parts.drives(self.transport, system, self.deadline())
        if "nics" in subset:
            found.nics = parts.nics(self.transport, system, self.deadline())
            found.adapters, links_of_cards = parts.adapters(self.transport, system, self.deadline())
            if found.links is not None:
                found.links += links_of_cards

    def manager(self, deadline: Deadline) -> dict[str, Any] | None:
        """The Manager that is the host's BMC (a DGX has two more, of the GPU tray); None where none is shown."""
        system = self.system(deadline)
        return self._manager(system, deadline)

    def _manager(self, system: dict[str, Any], deadline: Deadline) -> dict[str, Any] | None:
        candidates = links(system, "Links", "ManagedBy") or self.transport.members(MANAGERS, deadline)
        for path in candidates[:8]:
            manager = self.transport.get_optional(path, deadline) or {}
            if manager and manager.get("ManagerType") in ("BMC", "ManagementController", None):
                return {"@odata.id": path, **manager}
        return None

    def _firmware_version(self, system: dict[str, Any], deadline: Deadline) -> str | None:
        return text((self._manager(system, deadline) or {}).get("FirmwareVersion"))

    def capabilities(self) -> dict[str, Any]:
        self.transport.use_session()
        deadline = self.deadline()
        return self._capabilities(self.system(deadline), deadline)

    def _capabilities(self, system: dict[str, Any], deadline: Deadline) -> dict[str, Any]:
        root = self.root(deadline)
        profile = self.profile(deadline, system)
        _action, reset_types = self.reset_action(system, profile, deadline)
        boot = RedfishBoot(self).place(system, profile, deadline).boot
        return {
            "vendor": vendors.vendor_of(root),
            "profile": profile.name,
            "redfish_version": text(root.get("RedfishVersion")),
            "reset_types": sorted(reset_types),
            "boot_targets": sorted(
                {
                    TARGET_NAMES[word]
                    for word in texts(boot.get("BootSourceOverrideTarget@Redfish.AllowableValues"))
                    if word in TARGET_NAMES
                }
            ),
            "boot_order": bool(texts(boot.get("BootOrder"))),
            "bios": link(system, "Bios") is not None,
            "metric_reports": link(root, "TelemetryService") is not None,
            "event_service": link(root, "EventService") is not None,
            "update_service": link(root, "UpdateService") is not None,
            **self._licensed(),
        }

    def _licensed(self) -> dict[str, Any]:
        """The licences, and what cannot be done without another one."""
        licences = RedfishLicences(self)
        known = licences.known()
        return {
            "licences": None if known is None else [licence.as_dict() for licence in known],
            "cannot": {} if known is None else missing(licences.needs(), known),
        }

    # -- boot ---------------------------------------------------------------------------------------------------------

    def boot(self) -> Boot:
        self.transport.use_session()
        return RedfishBoot(self).read()

    def set_boot(
        self,
        *,
        target: BootTarget | None = None,
        persistence: str = "once",
        mode: str | None = None,
        boot_order: Sequence[str] | None = None,
        uefi_target: str | None = None,
        dry: bool = False,
    ) -> None:
        self.transport.use_session()
        RedfishBoot(self).write(target, persistence, mode, boot_order, uefi_target, dry=dry)

    def resolve_boot_order(self, wanted: Sequence[str]) -> list[str]:
        self.transport.use_session()
        return RedfishBoot(self).order(wanted)

    def resolve_uefi_target(self, wanted: str) -> str:
        return RedfishBoot(self).device(wanted)

    # -- BIOS ---------------------------------------------------------------------------------------------------------

    def bios(self) -> Bios:
        self.transport.use_session()
        deadline = self.deadline()
        bios, _path = self._bios(deadline)
        pending = self.transport.get_optional(self._pending_path(bios, deadline), deadline) or {}
        profile = self.profile(deadline)
        return Bios(
            table(bios.get("Attributes")),
            table(pending.get("Attributes")),
            name_suffix=profile.bios_name_suffix,
            synonyms=profile.bios_synonyms,
            pending_clears=profile.bios_pending_clears,
            late_boot_options=profile.late_boot_options,
        )

    def _unsupported(self, what: str, tried: str, answer: str) -> Unsupported:
        return not_offered(self.host, what, tried, answer)

    def _bios(self, deadline: Deadline) -> tuple[dict[str, Any], str]:
        path = link(self.system(deadline), "Bios")
        if path is None:
            raise self._unsupported("BIOS attributes", "Bios", "the System has no link to it")
        return self.transport.get(path, deadline), path

    def _pending_path(self, bios: dict[str, Any], deadline: Deadline) -> str:
        linked = link(bios, "@Redfish.Settings", "SettingsObject")
        if linked is not None:
            return linked
        own = text(bios.get("@odata.id")) or f"{self._system_path}/Bios"
        return f"{own.rstrip('/')}/{self.profile(deadline).bios_settings}"

    def check_bios(self, attributes: Mapping[str, Any], *, apply_time: str = "on_reset") -> None:
        self.transport.use_session()
        deadline = self.deadline()
        bios, bios_path = self._bios(deadline)
        if apply_time != "on_reset":
            pending = self.transport.get_optional(self._pending_path(bios, deadline), deadline) or {}
            self._bios_apply_times(bios, pending, apply_time)
        self.check_lockdown(deadline)
        RedfishLicences(self).require("bios")
        jobs.check_queue(self, deadline)
        name = text(bios.get("AttributeRegistry"))
        if name is None:
            return
        own = self.profile(deadline).bios_registry
        places: Iterable[str] = registry_paths(self.transport, name, deadline)
        for path in chain(places, [f"{bios_path.rstrip('/')}/{own}"] if own else []):
            registry = self.transport.get_optional(path, deadline)
            if registry:
                check_attributes(registry, attributes, host=self.host, registry_name=name)
                return

    def set_bios(self, attributes: Mapping[str, Any], *, apply_time: str) -> Task | None:
        self.transport.use_session()
        deadline = self.deadline()
        bios, _path = self._bios(deadline)
        path = self._pending_path(bios, deadline)
        pending, etag = self.transport.get_with_etag(path, deadline)
        body: dict[str, Any] = {"Attributes": dict(attributes)}
        wanted = _APPLY_TIMES[apply_time]
        offered = self._bios_apply_times(bios, pending, apply_time)
        required = self.profile(deadline).bios_apply_time
        if required is not None or wanted in offered:
            body["@Redfish.SettingsApplyTime"] = {
                "@odata.type": "#Settings.v1_1_0.PreferredApplyTime",
                "ApplyTime": wanted,
            }
        task = task_of(self.transport.patch(path, body, deadline, etag=etag))
        return task if task is not None or wanted != "OnReset" else jobs.of_staged(self, self.deadline())

    def _bios_apply_times(self, bios: dict[str, Any], pending: dict[str, Any], apply_time: str) -> list[str]:
        """What is offered; raises `Unsupported` where that lacks the wanted one."""
        offered = texts(dig(bios, "@Redfish.Settings", "SupportedApplyTimes")) or texts(
            dig(pending, "@Redfish.SettingsApplyTime", "ApplyTime@Redfish.AllowableValues")
        )
        if apply_time != "on_reset" and _APPLY_TIMES[apply_time] not in offered:
            raise self._unsupported(
                f"BIOS attributes applied {apply_time}",
                f"apply_time={apply_time}",
                f"offered: {', '.join(offered) or 'OnReset'}",
            )
        return offered

    # -- readings -----------------------------------------------------------------------------------------------------

    def metrics(self) -> Metrics:
        self.transport.use_session()
        deadline = self.deadline()
        # Which machine it is does not change between rounds, so only the first one looks it up.
        profile = self._known_profile or self.profile(deadline)
        return readings.read(self.transport, profile, self.system_path, deadline)
