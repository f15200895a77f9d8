"""The machine behind a replayed BMC: what resets, settings, media, updates and accounts do to the captured bodies."""

from __future__ import annotations

import asyncio
import copy
import re
import time
from collections.abc import Mapping
from typing import Any

from lab.redfish.errors import RedfishError
from lab.redfish.routes import Answer
from lab.replay.manners import Manners
from lab.replay.store import Store, check, merged
from lab.replay.tasks import Tasks
from lab.replay.tree import Body

# ResetTypes (DSP0268, Resource.ResetType) by what they do to the power; HPE's and Lenovo's own words beside them.
_OFF = ("ForceOff", "GracefulShutdown")
_ON = ("On", "ForceOn")
_RESTART = ("ForceRestart", "GracefulRestart", "PowerCycle", "FullPowerCycle", "ColdBoot")
_AC_CYCLE = ("AuxCycle", "ACPowerCycle", "AuxPowerReset")
_NOTHING = ("Nmi",)
# A version in an image's file name, such as bios-2.14.1.bin
_VERSION = re.compile(r"\d+(?:\.\d+)+")


class Machine:
    """:param power_s: seconds that a change of power takes.
    :param task_s: seconds that an update takes.
    :param away_s: seconds that a restarted BMC does not answer.
    """

    def __init__(self, store: Store, manners: Manners, power_s: float, task_s: float, away_s: float) -> None:
        self.store = store
        self.manners = manners
        self.tasks = Tasks(store, manners.task_id)
        self.boots = 0
        self.restarts = 0
        self.away_until = 0.0
        self.passwords: dict[str, str] = {}  # by account path
        self._power_s, self._task_s, self._away_s = power_s, task_s, away_s
        self._staged: dict[str, Body] = {}  # by owner path, until the next boot
        self._jobs: dict[str, str] = {}  # owner path → the job that carries it out
        self._moving: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        moving = list(self._moving.values())
        for handle in moving:
            handle.cancel()
        await asyncio.gather(*moving, return_exceptions=True)
        await self.tasks.close()

    def done(self) -> Answer:
        """An accepted write, in this vendor's manner."""
        if not self.manners.answers:
            return Answer(204)
        info = {"MessageId": "Base.1.4.Success", "Message": "The request completed successfully."}
        return Answer(200, {"error": {"code": "Base.1.4.Success", "@Message.ExtendedInfo": [info]}})

    # -- properties

    def patch(self, path: str, changes: Body) -> Answer:
        body = self.store.get(path) or {}
        owner = self.store.owner(path)
        if owner is not None:
            return self._patch_settings(path, body, owner, changes)
        if not changes:
            raise RedfishError("NoOperation")
        settings = self.store.settings(path)
        if settings is not None and "Attributes" in changes:
            raise RedfishError("PropertyNotWritable", "Attributes")  # DSP0266 9.10: written at the settings object
        if settings is not None and "Boot" in changes and self.manners.boot_at_settings:
            raise RedfishError("PropertyNotWritable", "Boot")
        check(changes, body, {"Boot": (self.store.get(settings) or {}).get("Boot")} if settings else None)
        if _is(body, "ManagerAccount"):
            return self._patch_account(path, body, changes)
        _check_boot_order(changes, body)
        boot = changes.get("Boot")
        if settings is not None and self.manners.settings_job and isinstance(boot, dict) and "BootOrder" in boot:
            # what iDRAC is told of the order at the System waits in the settings object, with a job of its own
            order = {"Boot": {"BootOrder": boot["BootOrder"]}, "@Redfish.SettingsApplyTime": {"ApplyTime": "OnReset"}}
            answer = self._patch_settings(settings, self.store.get(settings) or {}, path, order)
            rest = {name: value for name, value in boot.items() if name != "BootOrder"}
            changes = {**changes, "Boot": rest}
            if not rest and len(changes) == 1:
                return answer
        plain = {name: value for name, value in changes.items() if not name.startswith("@")}
        if _is(body, "VirtualMedia") and "Image" in plain:
            plain = _media(body, plain.get("Image"), plain)
        self.store.put(path, merged(body, plain))
        if settings is not None and isinstance(plain.get("Boot"), dict):
            # the settings object shows what will hold at the next boot, and that has changed with it
            there = (self.store.get(settings) or {}).get("Boot")
            there = there if isinstance(there, dict) else {}
            both = {name: value for name, value in plain["Boot"].items() if name in there}
            if both and there.get("BootOrder") != []:
                self.store.change(settings, Boot=both)
        return self.done()

    def _patch_settings(self, path: str, body: Body, owner: str, changes: Body) -> Answer:
        """DSP0266 9.10: what is written to a settings object holds from the next boot, or at once when asked for."""
        current = self.store.get(owner) or {}
        check(changes, body, current)
        _check_boot_order(changes, current)
        apply = changes.get("@Redfish.SettingsApplyTime")
        when = apply.get("ApplyTime", "OnReset") if isinstance(apply, Mapping) else None
        supported = (current.get("@Redfish.Settings") or {}).get("SupportedApplyTimes")
        if when is not None and isinstance(supported, list) and when not in supported:
            raise RedfishError("PropertyValueNotInList", str(when), "@Redfish.SettingsApplyTime/ApplyTime")
        if self.manners.settings_job and owner in self._jobs and self.tasks.pending(self._jobs[owner]):
            raise RedfishError("ResourceInUse", status=400)  # iDRAC SYS011: already committed
        plain = {name: value for name, value in changes.items() if not name.startswith("@")}
        if not plain:
            raise RedfishError("NoOperation")
        self.store.put(path, merged(body, plain))
        self._staged[owner] = merged(self._staged.get(owner, {}), plain)
        if when == "Immediate":
            self._apply(owner)
            return self.done()
        if not self.manners.settings_job:
            return self.done()
        if when is None:
            del self._staged[owner]  # shown as pending, and never carried out
            return Answer(200, {})
        self._jobs[owner] = self.tasks.start("Configure: settings at the next boot", None, lambda: None)
        return self.tasks.accepted(self._jobs[owner])

    def _apply(self, owner: str) -> None:
        """Carry out what was staged for a resource."""
        staged = self._staged.pop(owner, None)
        body = self.store.get(owner)
        if staged is None or body is None:
            return
        known = {name: value for name, value in staged.items() if name in body}
        self.store.put(owner, merged(body, known))
        settings = self.store.settings(owner)
        captured = copy.deepcopy(self.store.tree.get(settings)) if settings else None
        if settings and captured and self.manners.settings_job:
            self.store.put(settings, captured)  # shows what is pending only, and that is nothing now
        elif settings and captured and captured.get("Attributes") == {}:
            self.store.put(settings, {**(self.store.get(settings) or {}), "Attributes": {}})
        if job := self._jobs.pop(owner, None):
            self.tasks.finish(job)

    def _patch_account(self, path: str, body: Body, changes: Body) -> Answer:
        if "Password" in changes:
            self.check_password(changes["Password"])
            self.passwords[path] = str(changes["Password"])
        shown = {name: value for name, value in changes.items() if name not in ("Password", "OldPassword")}
        if "Password" in changes and body.get("PasswordChangeRequired"):
            shown["PasswordChangeRequired"] = False
        role = shown.get("RoleId")
        if role is not None and self.store.link(body, "Links", "Role"):
            roles = str(self.store.link(body, "Links", "Role")).rpartition("/")[0]
            shown["Links"] = {"Role": {"@odata.id": f"{roles}/{role}"}}
        self.store.put(path, merged(body, shown))
        return self.done()

    def check_password(self, password: Any) -> None:
        """Raise RedfishError for a length that the captured AccountService rules out."""
        if not isinstance(password, str):
            raise RedfishError("PropertyValueTypeError", "********", "Password")
        service = self.store.get(self.store.of_root("AccountService")) or {}
        least, most = service.get("MinPasswordLength") or 0, service.get("MaxPasswordLength") or 10_000
        if not least <= len(password) <= most:
            raise RedfishError("PropertyValueFormatError", "********", "Password")

    # -- collections

    def create(self, collection: str, body: Body) -> Answer:
        """A POST on a collection."""
        listed = self.store.get(collection) or {}
        if _is(listed, "ManagerAccountCollection"):
            return self._create_account(collection, body)
        if _is(listed, "EventDestinationCollection"):
            for name in ("Destination", "Protocol"):
                if name not in body:
                    raise RedfishError("PropertyMissing", name)
            if not re.match(r"(https?|snmp|syslog|mailto):", str(body["Destination"])):
                raise RedfishError("PropertyValueFormatError", str(body["Destination"]), "Destination")
            return self._created(collection, "#EventDestination.v1_7_0.EventDestination", "Subscription", body)
        if _is(listed, "VolumeCollection"):
            return self._create_volume(collection, body)
        raise RedfishError("OperationNotAllowed")

    def _created(self, collection: str, type_: str, name: str, body: Body) -> Answer:
        id = self._free_id(collection)
        path = self.store.add_member(collection, {"@odata.type": type_, "Id": id, "Name": f"{name} {id}", **body})
        return Answer(201, self.store.get(path), {"Location": path})

    def _free_id(self, collection: str) -> str:
        taken = {path.rpartition("/")[2] for path in self.store.members(collection)}
        return next(str(n) for n in range(1, 10_000) if str(n) not in taken)

    def _create_account(self, collection: str, body: Body) -> Answer:
        accounts = [self.store.get(path) or {} for path in self.store.members(collection)]
        if any(account.get("UserName") == "" for account in accounts):
            raise RedfishError("OperationNotAllowed")  # fixed slots: an account is made by filling an empty one
        for name in ("UserName", "Password"):
            if not body.get(name):
                raise RedfishError("PropertyMissing", name)
        if any(account.get("UserName") == body["UserName"] for account in accounts):
            raise RedfishError("ResourceAlreadyExists", "ManagerAccount", "UserName", str(body["UserName"]))
        self.check_password(body["Password"])
        pattern = next((account for account in accounts if account.get("RoleId") == "Administrator"), {})
        check(
            {name: value for name, value in body.items() if name != "Oem"}, {**pattern, "RoleId": "", "Enabled": True}
        )
        roles = str(self.store.link(pattern, "Links", "Role") or "").rpartition("/")[0]
        role = str(body.get("RoleId", "ReadOnly"))
        if roles and self.store.members(roles) and f"{roles}/{role}" not in self.store.members(roles):
            raise RedfishError("PropertyValueNotInList", role, "RoleId")
        id = self._free_id(collection)
        account = {
            **{
                name: value
                for name, value in pattern.items()
                if name.startswith("@") or name in ("Name", "Description")
            },
            **({"Enabled": True} if "Enabled" in pattern else {}),
            **({"Locked": False} if "Locked" in pattern else {}),
            **{name: value for name, value in body.items() if name != "Oem"},
            "Id": id,
            "Password": None,
            "RoleId": role,
            "Links": {"Role": {"@odata.id": f"{roles}/{role}"}} if roles else {},
        }
        account["@odata.id"] = f"{collection}/{id}"
        path = self.store.add_member(collection, account)
        self.passwords[path] = str(body["Password"])
        return Answer(201, self.store.get(path), {"Location": path})

    def _create_volume(self, collection: str, body: Body) -> Answer:
        drives = self.store.links(body, "Links", "Drives") or self.store.links(body, "Drives")
        if not drives:
            raise RedfishError("PropertyMissing", "Links/Drives")
        for drive in drives:
            if self.store.get(drive) is None:
                raise RedfishError("PropertyValueNotInList", drive, "Links/Drives")
        if "RAIDType" not in body and "VolumeType" not in body:
            raise RedfishError("PropertyMissing", "RAIDType")
        sizes = [(self.store.get(drive) or {}).get("CapacityBytes") or 0 for drive in drives]
        volume = {
            "CapacityBytes": sum(sizes),
            **{name: value for name, value in body.items() if not name.startswith("@") and name != "Drives"},
            "Links": {"Drives": [{"@odata.id": drive} for drive in drives]},
            "Status": {"State": "Enabled", "Health": "OK"},
        }

        def make() -> None:
            self._created(collection, "#Volume.v1_9_0.Volume", "Volume", volume)

        return self.tasks.accepted(self.tasks.start("Create volume", self._task_s, make))

    def delete(self, path: str, collection: str) -> Answer:
        listed, body = self.store.get(collection) or {}, self.store.get(path) or {}
        if _is(listed, "ManagerAccountCollection"):
            names = [(self.store.get(member) or {}).get("UserName") for member in self.store.members(collection)]
            if "" in names:
                raise RedfishError("OperationNotAllowed")  # a slot is emptied, not removed
            self.passwords.pop(path, None)
        elif _is(listed, "VolumeCollection"):
            task = self.tasks.start("Delete volume", self._task_s, lambda: self.store.remove_member(collection, path))
            return self.tasks.accepted(task)
        elif not (_is(listed, "EventDestinationCollection") or _is(body, "Task") or _is(body, "Job")):
            raise RedfishError("OperationNotAllowed")
        self.store.remove_member(collection, path)
        return self.done()

    # -- actions

    def act(self, path: str, action: str, description: Body, body: Body) -> Answer:
        """Carry out an action of the resource at ``path``. Raises RedfishError for one whose effect is not known."""
        self._check_parameters(action, description, body)
        name = action.rpartition(".")[2]
        resource = self.store.get(path) or {}
        if name in ("Reset", "SystemReset", "ExtendedReset") and _is(resource, "ComputerSystem", "Chassis"):
            return self._reset(path, resource, str(body.get("ResetType")))
        if action == "Manager.Reset":
            self.restart_bmc()
            return self.done()
        if name in ("InsertMedia", "InsertVirtualMedia"):
            if resource.get("Inserted"):
                raise RedfishError("ResourceInUse")
            self.store.put(path, merged(resource, _media(resource, body.get("Image"), body)))
            return self.done()
        if name in ("EjectMedia", "EjectVirtualMedia"):
            self.store.put(path, merged(resource, _media(resource, None, {})))
            return self.done()
        if action == "LogService.ClearLog":
            entries = self.store.link(resource, "Entries")
            for entry in self.store.members(entries):
                self.store.remove(entry)
            if entries and (listed := self.store.get(entries)) is not None:
                self.store.put(entries, {**listed, "Members": [], "Members@odata.count": 0})
            return self.done()
        if action == "SecureBoot.ResetKeys":
            kind = str(body.get("ResetKeysType"))
            if kind in ("DeleteAllKeys", "DeletePK"):
                self.store.change(path, SecureBootMode="SetupMode")
            elif kind == "ResetAllKeysToDefault":
                self.store.change(path, SecureBootMode="UserMode")
            return self.done()
        if action == "UpdateService.SimpleUpdate":
            targets = [str(target) for target in body.get("Targets") or []]
            return self.update(str(body.get("ImageURI")), targets)
        if action in ("Processor.Reset", "Bios.ChangePassword"):
            return self.done()
        raise RedfishError("ActionNotSupported", action)

    def _check_parameters(self, action: str, description: Body, body: Body) -> None:
        info = self.store.get(str(description.get("@Redfish.ActionInfo") or "")) or {}
        parameters = {str(entry.get("Name")): entry for entry in info.get("Parameters") or []}
        allowed = {name: entry["AllowableValues"] for name, entry in parameters.items() if entry.get("AllowableValues")}
        for name, values in description.items():
            if name.endswith("@Redfish.AllowableValues"):
                allowed[name.split("@")[0]] = values
        for name, entry in parameters.items():
            if entry.get("Required") and name not in body:
                raise RedfishError("ActionParameterMissing", action, name)
        needed = {"UpdateService.SimpleUpdate": "ImageURI", "VirtualMedia.InsertMedia": "Image"}.get(action)
        if action.endswith(("System.Reset", "Chassis.Reset", "Manager.Reset", "SystemReset")):
            needed = "ResetType" if action != "Manager.Reset" else None
        if needed and not body.get(needed):
            raise RedfishError("ActionParameterMissing", action, needed)
        for name, value in body.items():
            if name in allowed and value not in allowed[name]:
                raise RedfishError("ActionParameterValueNotInList", str(value), name, action)

    # -- power

    def _reset(self, path: str, resource: Body, kind: str) -> Answer:
        """A reset of a system, or of its chassis, which is the same machine."""
        systems = [path] if _is(resource, "ComputerSystem") else self.store.links(resource, "Links", "ComputerSystems")
        state = resource.get("PowerState", "On")
        if kind == "PushPowerButton":
            kind = "GracefulShutdown" if state == "On" else "On"
        if (kind in _ON and state == "On") or (kind in _OFF and state == "Off"):
            if self.manners.needless_reset >= 400:
                raise RedfishError("ResourceInUse", status=self.manners.needless_reset)
            return Answer(self.manners.needless_reset)
        if kind in _RESTART and state == "Off" and kind not in ("PowerCycle", "FullPowerCycle", "ColdBoot"):
            raise RedfishError("ResourceInStandby")
        if kind not in (*_ON, *_OFF, *_RESTART, *_AC_CYCLE, *_NOTHING):
            raise RedfishError("ActionParameterValueNotInList", kind, "ResetType", "Reset")
        for system in systems:
            self._move(system, kind)
        if kind in _AC_CYCLE:
            self.restart_bmc()
        if self.manners.reset_task:
            return self.tasks.accepted(self.tasks.start("Computer Reset", self._power_s, lambda: None))
        return self.done()

    def _move(self, system: str, kind: str) -> None:
        if kind in _NOTHING:
            return
        if (moving := self._moving.pop(system, None)) is not None:
            moving.cancel()

        async def move() -> None:
            await asyncio.sleep(self._power_s)
            if kind in _OFF:
                self._power(system, "Off")
                return
            if kind in ("PowerCycle", "FullPowerCycle", "ColdBoot", *_AC_CYCLE):
                self._power(system, "Off")
                await asyncio.sleep(self._power_s)
            self._power(system, "On")
            self._boot(system)

        self._moving[system] = asyncio.get_running_loop().create_task(move())

    def _power(self, system: str, state: str) -> None:
        self.store.change(system, PowerState=state)
        for chassis in self.store.links(self.store.get(system), "Links", "Chassis"):
            if "PowerState" in (self.store.get(chassis) or {}):
                self.store.change(chassis, PowerState=state)

    def _boot(self, system: str) -> None:
        """What a boot carries out: staged settings below the system, and a boot override for one time."""
        self.boots += 1
        for owner in list(self._staged):
            self._apply(owner)
        for path in filter(None, (system, self.store.settings(system))):
            boot = (self.store.get(path) or {}).get("Boot")
            if isinstance(boot, dict) and boot.get("BootSourceOverrideEnabled") == "Once":
                self.store.change(
                    path, Boot={"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None"}
                )
        secure = self.store.link(self.store.get(system), "SecureBoot")
        if secure and (body := self.store.get(secure)) is not None and "SecureBootEnable" in body:
            running = "Enabled" if body["SecureBootEnable"] else "Disabled"
            if body.get("SecureBootCurrentBoot") != running:
                self.store.change(secure, SecureBootCurrentBoot=running)

    def restart_bmc(self) -> None:
        """The BMC goes away for a while and forgets who was logged in."""
        self.restarts += 1
        self.away_until = time.monotonic() + self._away_s

    @property
    def away(self) -> bool:
        return time.monotonic() < self.away_until

    # -- firmware

    def update(self, image: str, targets: list[str]) -> Answer:
        """Take an image; what it flashes shows the version that stands in its file name, if one does."""
        for target in targets:
            if self.store.get(target) is None:
                raise RedfishError("ActionParameterValueNotInList", target, "Targets", "UpdateService.SimpleUpdate")
        version = _VERSION.search(image.rpartition("/")[2])

        def flash() -> None:
            for target in targets:
                if version and "Version" in (self.store.get(target) or {}):
                    self.store.change(target, Version=version[0])

        return self.tasks.accepted(self.tasks.start("Firmware update", self._task_s, flash))

    def push_uris(self) -> dict[str, str]:
        """Paths that take images: ``{path: property}``."""
        service = self.store.get(self.store.of_root("UpdateService")) or {}
        return {
            str(service[name]).rstrip("/"): name
            for name in ("MultipartHttpPushUri", "HttpPushUri")
            if isinstance(service.get(name), str)
        }


def _is(body: Body, *types: str) -> bool:
    return str(body.get("@odata.type", "")).rpartition(".")[2] in types


def _check_boot_order(changes: Body, body: Body) -> None:
    """A boot order names boot options that exist."""
    wanted = (changes.get("Boot") or {}).get("BootOrder") if isinstance(changes.get("Boot"), dict) else None
    known = (body.get("Boot") or {}).get("BootOrder")
    if isinstance(wanted, list) and known:
        for reference in wanted:
            if reference not in known:
                raise RedfishError("PropertyValueNotInList", str(reference), "Boot/BootOrder")


def _media(body: Body, image: Any, given: Mapping[str, Any]) -> Body:
    """The properties of a medium with that image in it, or with none: those of them that it shows."""
    inserted = bool(image)
    empty = "" if body.get("Image") == "" else None
    shown = {
        "Image": image or empty,
        "ImageName": str(image).rpartition("/")[2] if inserted else empty,
        "Inserted": inserted,
        "ConnectedVia": "URI" if inserted else "NotConnected",
        "WriteProtected": given.get("WriteProtected", True) if inserted else body.get("WriteProtected"),
        "UserName": given.get("UserName") if inserted else None,
        "TransferProtocolType": given.get("TransferProtocolType") if inserted else None,
        "TransferMethod": given.get("TransferMethod") if inserted else None,
    }
    return {name: value for name, value in shown.items() if name in body}
