# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""What the next boot does, by Redfish: the override, the order, and where each of them is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import (
    AnswerLost,
    Boot,
    BootTarget,
    Refused,
    not_offered,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import dig, link, table, text, texts
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput, NotFound, Unsupported

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.client import RedfishBmc
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors import Profile

# ComputerSystem.BootSource (DSP0268); BiosSetup, UefiHttp and the rest are Redfish's own words.
_TARGETS = {
    BootTarget.NONE: "None",
    BootTarget.PXE: "Pxe",
    BootTarget.HTTP: "UefiHttp",
    BootTarget.CD: "Cd",
    BootTarget.HDD: "Hdd",
    BootTarget.BIOS: "BiosSetup",
    BootTarget.UEFI_TARGET: "UefiTarget",
}
TARGET_NAMES = {word: target.value for target, word in _TARGETS.items()} | {"UsbCd": BootTarget.CD.value}
_MODES = {"uefi": "UEFI", "legacy": "Legacy"}
# Device path nodes (UEFI 2.10, 10.3): of the network, of HTTP boot, and of what can be pulled out.
_NETWORK = re.compile(r"(MAC|IPv[46])\(", re.IGNORECASE)
_HTTP = re.compile(r"Uri\(", re.IGNORECASE)
_REMOVABLE = re.compile(r"(USB|CDROM)\(", re.IGNORECASE)
# Dell's network devices have a path that says nothing, and a name: "HTTP Device 1: NIC in Slot 5 Port 1".
_NAMED = {"http": re.compile(r"\bHTTP", re.IGNORECASE), "pxe": re.compile(r"\bPXE\b", re.IGNORECASE)}


def _kind_of_option(name: str, path: str) -> str | None:
    """What a boot option without alias boots from: http, pxe or hdd; None for what can be pulled out."""
    if _HTTP.search(path):
        return BootTarget.HTTP.value
    if _NETWORK.search(path):
        return BootTarget.PXE.value
    for kind, pattern in _NAMED.items():
        if pattern.search(name):
            return kind
    return None if _REMOVABLE.search(path) else BootTarget.HDD.value


@dataclass(frozen=True)
class _BootPlace:
    """:param boot: what will hold at the next boot. :param override: path and ETag of where the override is written.
    :param order: the same for the order. :param order_applies: the apply time that goes with the order.
    """

    boot: dict[str, Any]
    override: tuple[str, str | None]
    order: tuple[str, str | None]
    order_applies: str | None = None

    def order_body(self, order: Sequence[str]) -> dict[str, Any]:
        """What is PATCHed where the order is not written with the override."""
        body: dict[str, Any] = {"Boot": {"BootOrder": list(order)}}
        if self.order_applies is not None:
            body["@Redfish.SettingsApplyTime"] = {
                "@odata.type": "#Settings.v1_1_0.PreferredApplyTime",
                "ApplyTime": self.order_applies,
            }
        return body


class RedfishBoot:
    """The boot of one server."""

    def __init__(self, bmc: RedfishBmc) -> None:
        self._bmc = bmc

    def read(self) -> Boot:
        """See `base.Bmc.boot`; the others alike."""
        deadline = self._bmc.deadline()
        system = self._bmc.system(deadline)
        boot = self.place(system, self._bmc.profile(deadline, system), deadline).boot
        word = text(boot.get("BootSourceOverrideTarget")) or "None"
        enabled = text(boot.get("BootSourceOverrideEnabled"))
        order = texts(boot.get("BootOrder"))
        mode = text(boot.get("BootSourceOverrideMode"))
        mode_name = mode.lower() if mode else None
        if enabled not in ("Once", "Continuous") or word == "None":
            return Boot(BootTarget.NONE.value, None, mode_name, order or None)
        persistence = "once" if enabled == "Once" else "always"
        device = text(boot.get("UefiTargetBootSourceOverride")) if word == "UefiTarget" else None
        return Boot(TARGET_NAMES.get(word, word), persistence, mode_name, order or None, device)

    def place(self, system: dict[str, Any], profile: Profile, deadline: Deadline) -> _BootPlace:
        """What says what the next boot does, and where it is written.

        What the System's settings object shows is written there (DSP0266 9.10): the override on AMI, the order on
        iDRAC. The rest is written at the System.
        """
        boot = table(system.get("Boot"))
        here = (self._bmc.system_path, text(system.get("@odata.etag")))
        settings = link(system, "@Redfish.Settings", "SettingsObject")
        found, etag = self._settings_of_boot(settings, profile, deadline)
        pending = table(found.get("Boot"))
        there = (settings or "", etag)
        if "BootSourceOverrideTarget" in pending or (profile.boot_via_settings and settings is not None):
            # what the settings object leaves out holds as it is
            return _BootPlace({**boot, **pending}, there, there)
        if "BootOrder" not in pending:
            return _BootPlace(boot, here, here)
        if texts(pending.get("BootOrder")):
            boot = {**boot, "BootOrder": pending["BootOrder"]}
        times = texts(dig(system, "@Redfish.Settings", "SupportedApplyTimes"))
        return _BootPlace(boot, here, there, "OnReset" if "OnReset" in times else None)

    def _settings_of_boot(
        self, path: str | None, profile: Profile, deadline: Deadline
    ) -> tuple[dict[str, Any], str | None]:
        if path is None:
            return {}, None
        try:
            return self._bmc.transport.get_with_etag(path, deadline)
        except NotFound:
            if profile.boot_via_settings:
                raise
            return {}, None  # a link to nothing

    def write(
        self,
        target: BootTarget | None,
        persistence: str,
        mode: str | None,
        boot_order: Sequence[str] | None,
        uefi_target: str | None,
        *,
        dry: bool,
    ) -> None:
        deadline = self._bmc.deadline()
        system = self._bmc.system(deadline)
        profile = self._bmc.profile(deadline, system)
        place = self.place(system, profile, deadline)
        change: dict[str, Any] = {}
        if target is not None:
            change |= self._override(place.boot, profile, target, persistence, mode)
        if target is BootTarget.UEFI_TARGET:
            self._offered(place.boot, "UefiTargetBootSourceOverride", str(uefi_target))
            change["UefiTargetBootSourceOverride"] = uefi_target
        order_apart = boot_order is not None and place.order != place.override
        if boot_order is not None:
            if not texts(place.boot.get("BootOrder")):
                raise self._unsupported("a boot order", "BootOrder", "the System has none")
            if not order_apart:
                change["BootOrder"] = list(boot_order)
        if dry:
            return
        lost: AnswerLost | None = None
        if boot_order is not None and order_apart:
            path, etag = place.order
            try:
                self._bmc.transport.patch(path, place.order_body(boot_order), deadline, etag=etag)
            except AnswerLost as problem:  # the override is still to be set; the caller reads back what was carried out
                lost = problem
        if change:
            self._write_override(place, change, target, profile, deadline)
        if lost is not None:
            raise lost

    def _write_override(
        self, place: _BootPlace, change: dict[str, Any], target: BootTarget | None, profile: Profile, deadline: Deadline
    ) -> None:
        path, etag = place.override
        try:
            self._bmc.transport.patch(path, {"Boot": change}, deadline, etag=etag)
        except (Refused, Unsupported):
            if target is not BootTarget.UEFI_TARGET or not profile.uefi_target_alone:
                raise
            change.pop("BootSourceOverrideEnabled")
            self._bmc.transport.patch(path, {"Boot": change}, deadline, etag=etag)

    def _override(
        self, boot: dict[str, Any], profile: Profile, target: BootTarget, persistence: str, mode: str | None
    ) -> dict[str, Any]:
        if target is BootTarget.NONE:
            change: dict[str, Any] = {"BootSourceOverrideEnabled": "Disabled"}
            # some take no Enabled alone (sushy-emulator), and None as a target only where they list it
            allowed = texts(boot.get("BootSourceOverrideTarget@Redfish.AllowableValues"))
            if profile.boot_whole or "None" in allowed or not allowed:
                change["BootSourceOverrideTarget"] = "None"
            return change
        word = _TARGETS[target]
        if target is BootTarget.CD:
            allowed = texts(boot.get("BootSourceOverrideTarget@Redfish.AllowableValues"))
            word = next((name for name in profile.cd_targets if name in allowed), word)
        self._offered(boot, "BootSourceOverrideTarget", word)
        if persistence == "always" and not profile.persistent_boot:
            raise self._unsupported("a lasting boot override", "persistence=always", f"profile {profile.name}")
        if target is BootTarget.PXE and not profile.legacy_pxe:
            legacy = (mode or str(boot.get("BootSourceOverrideMode") or "")).lower() == "legacy"
            if legacy:
                raise self._unsupported("PXE in legacy mode", "target=pxe", f"profile {profile.name}: use target=http")
        enabled = "Once" if persistence == "once" else "Continuous"
        self._offered(boot, "BootSourceOverrideEnabled", enabled)
        change = {"BootSourceOverrideEnabled": enabled, "BootSourceOverrideTarget": word}
        wanted_mode = _MODES[mode] if mode else None
        if wanted_mode is not None:
            self._offered(boot, "BootSourceOverrideMode", wanted_mode)
        elif profile.boot_whole:
            wanted_mode = text(boot.get("BootSourceOverrideMode")) or "UEFI"
        if wanted_mode is not None:
            change["BootSourceOverrideMode"] = wanted_mode
        return change

    def _offered(self, boot: dict[str, Any], name: str, value: str) -> None:
        allowed = texts(boot.get(f"{name}@Redfish.AllowableValues"))
        if allowed and value not in allowed:
            raise self._unsupported(f"booting with {name} {value}", f"{name}={value}", f"allowed: {', '.join(allowed)}")

    def order(self, wanted: Sequence[str]) -> list[str]:
        deadline = self._bmc.deadline()
        system = self._bmc.system(deadline)
        boot = self.place(system, self._bmc.profile(deadline, system), deadline).boot
        order = texts(boot.get("BootOrder"))
        if not order:
            raise self._unsupported("a boot order", "BootOrder", "the System has none")
        first: list[str] = []
        described: list[tuple[str, set[str]]] | None = None
        for name in wanted:
            if name in order:
                matches = [name]
            else:
                if described is None:
                    described = self._boot_options(system, order, deadline)
                matches = [reference for reference, names in described if name.lower() in names]
            if not matches:
                raise InvalidInput(
                    f"no boot option is called {name}",
                    host=self._bmc.host,
                    tried=f"boot_order entry {name}",
                    answer=f"boot options: {', '.join(order)}",
                    next="Use a reference (Boot0003), a display name, or pxe, http, cd, hdd.",
                )
            first += [reference for reference in matches if reference not in first]
        return first + [reference for reference in order if reference not in first]

    def device(self, wanted: str) -> str:
        if "(" in wanted or "/" in wanted:  # PciRoot(0x0)/..., HD(...)/\\EFI\\...
            return wanted
        self._bmc.transport.use_session()
        deadline = self._bmc.deadline()
        known: list[str] = []
        for path in self._bmc.transport.members(link(self._bmc.system(deadline), "Boot", "BootOptions"), deadline):
            option = self._bmc.transport.get_optional(path, deadline) or {}
            names = [text(option.get(name)) for name in ("BootOptionReference", "DisplayName")]
            known += [name for name in names if name]
            device = text(option.get("UefiDevicePath"))
            if device is not None and wanted.lower() in [name.lower() for name in names if name]:
                return device
        raise InvalidInput(
            f"no boot option called {wanted} has a device path",
            host=self._bmc.host,
            tried=f"uefi_target {wanted}",
            answer=f"boot options: {', '.join(known) or 'none'}",
            next="Use a UEFI device path, or the reference (Boot0003) or display name of a boot option.",
        )

    def _unsupported(self, what: str, tried: str, answer: str) -> Unsupported:
        return not_offered(self._bmc.host, what, tried, answer)

    def _boot_options(
        self, system: dict[str, Any], order: Sequence[str], deadline: Deadline
    ) -> list[tuple[str, set[str]]]:
        """For each boot option in boot order, the names (lower case) that it answers to."""
        named: dict[str, set[str]] = {}
        for path in self._bmc.transport.members(link(system, "Boot", "BootOptions"), deadline):
            option = self._bmc.transport.get_optional(path, deadline) or {}
            reference = text(option.get("BootOptionReference"))
            if reference is None:
                continue
            alias, shown = text(option.get("Alias")), text(option.get("DisplayName"))
            names = {shown, alias, TARGET_NAMES.get(alias or "")}
            if alias in (None, "None"):  # Dell and HPE give no alias, a DGX none to an installed system's own entry
                names.add(_kind_of_option(shown or "", text(option.get("UefiDevicePath")) or ""))
            named[reference] = {name.lower() for name in names if name}
        return [(reference, named.get(reference, set())) for reference in order]
