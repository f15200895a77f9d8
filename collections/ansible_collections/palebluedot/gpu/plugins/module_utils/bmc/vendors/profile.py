# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""What a vendor's profile can say. Everything a profile leaves alone follows the Redfish specification."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Match:
    """How a machine is recognised; every pattern given has to match (regular expressions, case-insensitive, searched).

    :param vendor: the root's ``Vendor``, else its first Oem key (Supermicro has no Vendor).
    :param system: the host system's "Id Model Manufacturer" (AMI alone builds BMCs for NVIDIA, Gigabyte, HPE and more).
    """

    vendor: str = ""
    system: str = ""


@dataclass(frozen=True)
class LicenceNeed:
    """Something that a product does only with a licence.

    :param what: virtual_media, firmware_update, bios or telemetry.
    :param pattern: what the name of such a licence, or a feature that it lists, looks like.
    :param called: what to buy.
    """

    what: str
    pattern: str
    called: str


@dataclass(frozen=True)
class AcCycle:
    """One way in which a product takes the mains away and gives them back.

    :param action: an Oem action's name, with its ``#``.
    :param chassis: pattern of the Id of the Chassis that has it; None: the System has it.
    :param parameters: what it is sent.
    :param off_first: the server has to be off before.
    :param bios: instead of an action, a BIOS attribute and the value with which the next restart does it.
    """

    action: str = ""
    chassis: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    off_first: bool = False
    bios: tuple[str, str] | None = None


@dataclass(frozen=True)
class Profile:
    """The differences of one product line, as data.

    :param host_systems: regular expressions of the Id of the System that is the host, where a BMC shows several.
    :param gpu_systems: Ids of the Systems that hold GPU Processors; empty: look in all.
    :param gpu_processors: pattern of the Ids of GPU Processors, so that no other is read; empty: read each one's type.
    :param chassis_cards: names under which a Chassis links a list of its cards that says which of them are GPUs.
    :param fabric_managers: paths of the Managers that run what connects the GPUs.
    :param metric_reports: Ids of the MetricReports that hold GPU readings.
    :param power_sensors: paths of Sensors with the server's power in watts, the first that answers is taken.
    :param inlet_sensors: the same for the temperature of the air that comes in.
    :param boot_via_settings: the boot override is PATCHed at the System's settings object (``@Redfish.Settings``).
    :param boot_whole: a boot override must carry Enabled, Mode and Target together.
    :param persistent_boot: whether ``Continuous`` is taken.
    :param legacy_pxe: whether PXE works in legacy mode.
    :param uefi_target_alone: some firmware takes a UefiTarget only without Enabled beside it.
    :param bios_settings: last segment of the path of the pending BIOS attributes, where Bios has no link to it.
    :param bios_apply_time: the ``@Redfish.SettingsApplyTime`` that must go with BIOS attributes.
    :param bios_registry: last segment of the attribute registry's path below Bios, where Registries may not lead to it.
    :param bios_name_suffix: regular expression of what the BIOS appends to attribute names.
    :param bios_synonyms: pairs of values of which an attribute takes the one or the other.
    :param bios_pending_clears: whether a staged BIOS value can be taken back before the next boot.
    :param bios_jobs: collection of the jobs that carry out staged BIOS attributes, where one has to end before another.
    :param late_boot_options: boot options that BIOS attributes bring appear only after a boot with them.
    :param lockdown: resource, attribute and value that say that the BMC takes no changes at all.
    :param reset_types: ResetTypes, where neither the action nor its ActionInfo says.
    :param restart: ResetTypes for ``reset``, best first; none: off, then on.
    :param power_cycle: ResetTypes for ``cycle``, best first; where none is offered: off, then on.
    :param serial_in_root: where the service root, which everybody may read, holds the server's serial number.
    :param tpm_enable: BIOS attributes and values that make the TPM usable; empty: not known.
    :param tpm_clear: those that clear it at the next boot.
    :param firmware_id: what of a SoftwareInventory's Id names the component (group ``id``); what does not match is not
        running firmware.
    :param firmware_parent: names of the property that says what a component is updated as a part of.
    :param firmware_push: where images are uploaded to, where the UpdateService does not say.
    :param firmware_state: names of the UpdateService's property that follows an update which has no Task.
    :param account_slots_from: accounts are fixed slots; the number of the first that is free to use.
    :param account_if_match: the If-Match that changing an account wants, where its ETag is refused.
    :param licence_path: where the manager lists its licences, beside or before DMTF's LicenseService.
    :param licence_needs: what wants a licence.
    :param factory_accounts: user name and password that the product leaves the factory with, where all have the same.
    :param lockout_tries: wrong passwords that lock an account, or the sender, out; what is not known counts as few.
    :param lockout_window_s: how long the BMC remembers a wrong password.
    :param ac_cycle: ways of taking the mains away, best first.
    :param media_places: where virtual media is shown, best first.
    :param media_skip: Ids of virtual drives that no image can be put into (regular expression).
    :param media_bare: putting an image in takes the image and nothing that goes without saying.
    :param media_credentials: putting an image in wants user name and password, even if empty.
    :param cd_targets: boot sources that a virtual CD answers to, best first.
    :param pause_after_off_s: how long power has to be off before it may come on again.
    :param sel_logs: Ids of the LogService that is the system event log, best first.
    :param lifecycle_logs: the same for the log of who changed what on the BMC and the server.
    :param xid_logs: paths of the LogServices that hold what the GPU and switch drivers report.
    :param log_filter: ``$filter=Id ge N`` is answered rightly on log entries.
    :param log_top: ``$top=N`` on log entries gives the newest.
    """

    name: str
    match: Match = Match()
    host_systems: tuple[str, ...] = ()
    gpu_systems: tuple[str, ...] = ()
    gpu_processors: str = ""
    chassis_cards: tuple[str, ...] = ()
    fabric_managers: tuple[str, ...] = ()
    metric_reports: tuple[str, ...] = ()
    power_sensors: tuple[str, ...] = ()
    inlet_sensors: tuple[str, ...] = ()
    boot_via_settings: bool = False
    boot_whole: bool = False
    persistent_boot: bool = True
    legacy_pxe: bool = True
    uefi_target_alone: bool = False
    bios_settings: str = "Settings"
    bios_apply_time: str | None = None
    bios_registry: str | None = None
    bios_name_suffix: str = ""
    bios_synonyms: tuple[tuple[str, str], ...] = ()
    bios_pending_clears: bool = True
    bios_jobs: str | None = None
    late_boot_options: bool = False
    lockdown: tuple[str, str, str] | None = None
    reset_types: tuple[str, ...] = ("On", "ForceOff", "GracefulShutdown", "ForceRestart")
    restart: tuple[str, ...] = ("ForceRestart", "PowerCycle")
    power_cycle: tuple[str, ...] = ("PowerCycle",)
    tpm_enable: tuple[tuple[str, str], ...] = ()
    tpm_clear: tuple[tuple[str, str], ...] = ()
    firmware_id: str = r"(?P<id>.+)"
    firmware_parent: tuple[str, ...] = ()
    firmware_push: str | None = None
    firmware_state: tuple[str, ...] | None = None
    ac_cycle: tuple[AcCycle, ...] = ()
    pause_after_off_s: float = 0.0
    serial_in_root: tuple[str, ...] = ()
    sel_logs: tuple[str, ...] = ("SEL",)
    lifecycle_logs: tuple[str, ...] = ("Lclog", "AuditLog", "EventLog", "Event")
    xid_logs: tuple[str, ...] = ()
    log_filter: bool = False
    log_top: bool = False
    account_slots_from: int | None = None
    account_if_match: str | None = None
    licence_path: str | None = None
    licence_needs: tuple[LicenceNeed, ...] = ()
    factory_accounts: tuple[tuple[str, str], ...] = ()
    lockout_tries: int = 2
    lockout_window_s: float = 60.0
    media_places: tuple[str, ...] = ("Systems", "Managers")
    media_skip: str = ""
    media_bare: bool = False
    media_credentials: bool = False
    cd_targets: tuple[str, ...] = ("Cd",)
