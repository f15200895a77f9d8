"""What a capture cannot show: how a BMC answers writes, by the Vendor of its service root.

Sources: the quirk tables of sushy, Ironic, bmclib and libredfish, and vendors' manuals. A vendor that is not here has
the specification's manners.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Manners:
    """:param precondition: a PATCH of a resource whose body carries an ETag needs If-Match (else 428).
    :param account_star: accounts take ``If-Match: *`` only, whatever their ETag says.
    :param boot_at_settings: the boot override is refused at the System and taken at its settings object.
    :param needless_reset: status of a reset to the state that the machine is in already.
    :param settings_job: a settings PATCH needs @Redfish.SettingsApplyTime to be carried out; it becomes a job, and
        while one waits the next is refused.
    :param reset_task: a reset is answered 202 with a task in Location.
    :param answers: accepted writes are answered 200 with a message instead of 204.
    :param task_id: how tasks are called.
    """

    precondition: bool = False
    account_star: bool = False
    boot_at_settings: bool = False
    needless_reset: int = 204
    settings_job: bool = False
    reset_task: bool = False
    answers: bool = False
    task_id: str = "{n}"


_VENDORS = {
    "AMI": Manners(precondition=True, account_star=True, boot_at_settings=True, needless_reset=400, reset_task=True),
    "Dell": Manners(needless_reset=409, settings_job=True, task_id="JID_{n:012d}"),
    "HPE": Manners(answers=True, needless_reset=400),
    "Lenovo": Manners(precondition=True),
    "Supermicro": Manners(precondition=True, answers=True),
}


def of(root: dict[str, object]) -> Manners:
    """By the root's Vendor, else its first Oem key."""
    oem = root.get("Oem")
    vendor = root.get("Vendor") or next(iter(oem if isinstance(oem, dict) else ()), "")
    return _VENDORS.get(str(vendor), _VENDORS["HPE"] if vendor == "Hpe" else Manners())
