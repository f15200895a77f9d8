# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Redfish's UpdateService (DSP0268): SoftwareInventory, multipart push, plain push and SimpleUpdate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Refused, Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline, wait_until
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.firmware import Component, Firmware, Update
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.client import RedfishBmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.licences import RedfishLicences
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.tasks import task_of, wait_for
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.upload import Multipart, Plain
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import (
    dig,
    integer,
    leaf,
    link,
    table,
    tables,
    text,
    texts,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    Unsupported,
)

UPDATE_SERVICE = "/redfish/v1/UpdateService"
_APPLY_TIMES = {"on_reset": "OnReset", "immediate": "Immediate"}


class RedfishFirmware(Firmware):
    """The firmware behind one `RedfishBmc`."""

    def __init__(self, bmc: RedfishBmc) -> None:
        self._bmc = bmc

    # -- reading ------------------------------------------------------------------------------------------------------

    def _service(self, deadline: Deadline) -> dict[str, Any]:
        path = link(self._bmc.root(deadline), "UpdateService") or UPDATE_SERVICE
        service = self._bmc.transport.get_optional(path, deadline)
        if service is None:
            raise self._unsupported("firmware", f"GET {path}", "there is no UpdateService")
        return service

    def components(self, only: Sequence[str] | None = None) -> list[Component]:
        deadline = self._bmc.deadline()
        return self._components(self._service(deadline), only, deadline)

    def _components(self, service: dict[str, Any], only: Sequence[str] | None, deadline: Deadline) -> list[Component]:
        profile = self._bmc.profile(deadline)
        listed = self._bmc.transport.members(link(service, "FirmwareInventory"), deadline)
        by_path: dict[str, str] = {}
        for path in listed:
            found = re.fullmatch(profile.firmware_id, leaf(path))
            if found:  # Dell lists what was installed before, too
                by_path[path] = found.group("id")
        if not by_path:  # ids of another kind than this vendor's are taken as they are
            by_path = {path: leaf(path) for path in listed}
        if only is not None:
            known = {path: Component(id, None, None, None, None, path) for path, id in by_path.items()}
            by_id = {path for path, one in known.items() if any(one.is_called(pattern) for pattern in only)}
            if all(any(known[path].is_called(pattern) for path in by_id) for pattern in only):
                by_path = {path: id for path, id in by_path.items() if path in by_id}
        read = [self._component(path, id, deadline) for path, id in by_path.items()]
        components = [one for one in read if one is not None]
        if only is None:
            return components
        return [one for one in components if any(one.is_called(pattern) for pattern in only)]

    def _component(self, path: str, id: str, deadline: Deadline) -> Component | None:
        found = self._bmc.transport.get_optional(path, deadline)
        if found is None:
            return None
        profile = self._bmc.profile(deadline)
        updateable = found.get("Updateable")
        return Component(
            id=id,
            name=text(found.get("Name")),
            version=text(found.get("Version")),
            updateable=updateable if isinstance(updateable, bool) else None,
            parent=text(dig(found, *profile.firmware_parent)) if profile.firmware_parent else None,
            uri=path,
        )

    # -- preparing ----------------------------------------------------------------------------------------------------

    def prepare(self, image: str, targets: Sequence[str], *, apply_time: str) -> Update:
        deadline = self._bmc.deadline()
        service = self._service(deadline)
        self._bmc.check_lockdown(deadline)
        RedfishLicences(self._bmc).require("firmware_update")
        if service.get("ServiceEnabled") is False:
            raise self._unsupported("updates now", "ServiceEnabled", "the UpdateService is switched off")
        uris = tuple(self._uris(service, targets, deadline))
        if "://" in image:
            return self._simple(service, image, uris, apply_time, deadline)
        self._check_file(service, image)
        profile = self._bmc.profile(deadline)
        parameters: dict[str, Any] = {"Targets": list(uris)} if uris else {}
        push = table(service.get("HttpPushUriOptions"))
        support = texts(
            dig(service, "MultipartHttpPushUri@Redfish.OperationApplyTimeSupport", "SupportedValues")
        ) or texts(dig(push, "HttpPushUriApplyTime", "ApplyTime@Redfish.AllowableValues"))
        path = text(service.get("MultipartHttpPushUri")) or profile.firmware_push
        if path is not None:
            parameters |= self._apply_time(apply_time, support or self._action_support(service))
            return Update(image, uris, apply_time, "multipart", path, parameters)
        path = text(service.get("HttpPushUri"))
        if path is None or not path.startswith("/redfish/"):
            # iLO 5's is a page of its web interface with rules of its own
            raise self._unsupported(
                "uploads of images",
                f"{UPDATE_SERVICE} MultipartHttpPushUri or HttpPushUri",
                f"MultipartHttpPushUri missing, HttpPushUri {path or 'missing'}",
                "Put the image on a web server and give its URL.",
            )
        if uris and "HttpPushUriTargets" not in service:
            raise self._unsupported("a choice of what to update", "HttpPushUriTargets", "the property is missing")
        return Update(image, uris, apply_time, "push", path, {})

    def _uris(self, service: dict[str, Any], targets: Sequence[str], deadline: Deadline) -> list[str]:
        if not targets:
            return []
        found: dict[str, None] = {}
        every: list[Component] | None = None
        for target in targets:
            if target.startswith("/redfish/"):
                found[target] = None
                continue
            meant = self._components(service, [target], deadline)
            found |= dict.fromkeys(one.uri for one in meant if one.updateable is not False)
            if any(one.updateable is not False for one in meant):
                continue
            if meant:
                raise self._unsupported(f"updates of {target}", f"{meant[0].uri} Updateable", "false")
            every = self._components(service, None, deadline) if every is None else every
            parts = [one for one in every if (one.parent or "").lower() == target.lower()]
            if not parts:
                raise self.no_component(target, every)
            # the parent stands beside its parts, though the collection does not list it
            found[f"{parts[0].uri.rstrip('/').rpartition('/')[0]}/{parts[0].parent}"] = None
        return list(found)

    def no_component(self, name: str, known: Sequence[Component]) -> NotFound:
        """The error of a name that no component has."""
        return NotFound(
            f"the machine has no firmware component {name}",
            code="no_component",
            host=self._bmc.host,
            tried=f"GET {UPDATE_SERVICE}/FirmwareInventory",
            answer=", ".join(sorted(one.id for one in known)) or "no components",
            next="Use one of these ids, or a pattern; firmware_info lists them with their names.",
        )

    def _simple(
        self, service: dict[str, Any], image: str, uris: tuple[str, ...], apply_time: str, deadline: Deadline
    ) -> Update:
        action = table(dig(service, "Actions", "#UpdateService.SimpleUpdate"))
        target = text(action.get("target"))
        if target is None:
            raise self._unsupported("updates by URL", "#UpdateService.SimpleUpdate", "the action is missing")
        offered = texts(action.get("TransferProtocol@Redfish.AllowableValues"))
        info = self._bmc.transport.get_optional(text(action.get("@Redfish.ActionInfo")), deadline)
        described = {text(one.get("Name")): one for one in tables(dig(info, "Parameters"))}
        offered = offered or texts(table(described.get("TransferProtocol")).get("AllowableValues"))
        scheme = urlsplit(image).scheme.upper()
        if offered and scheme not in offered:
            raise self._unsupported(f"{scheme} URLs", f"TransferProtocol {scheme}", f"offered: {', '.join(offered)}")
        body: dict[str, Any] = {"ImageURI": image, **({"TransferProtocol": scheme} if offered else {})}
        if uris:
            if described and "Targets" not in described:
                raise self._unsupported(
                    "a choice of what to update by URL", "SimpleUpdate Targets", "not among the action's parameters"
                )
            body["Targets"] = list(uris)
        body |= self._apply_time(apply_time, self._action_support(service))
        return Update(image, uris, apply_time, "simple", target, body)

    @staticmethod
    def _action_support(service: dict[str, Any]) -> list[str]:
        action = dig(service, "Actions", "#UpdateService.SimpleUpdate")
        return texts(dig(action, "@Redfish.OperationApplyTimeSupport", "SupportedValues"))

    @staticmethod
    def _apply_time(wanted: str, offered: list[str]) -> dict[str, str]:
        """The annotation, where the BMC offers a choice; a BMC that offers none writes at once."""
        word = _APPLY_TIMES[wanted]
        return {"@Redfish.OperationApplyTime": word} if word in offered else {}

    def _check_file(self, service: dict[str, Any], image: str) -> None:
        try:
            file = Path(image)
            size = file.stat().st_size
            with file.open("rb") as stream:
                stream.read(1)
        except OSError as problem:
            raise InvalidInput(
                "the firmware image cannot be read",
                host=self._bmc.host,
                tried=f"image={image}",
                answer=str(problem),
                next="Give a file of the machine that runs this, or a URL that the BMC can reach.",
            ) from problem
        largest = integer(service.get("MaxImageSizeBytes"))
        if not size or (largest and size > largest):
            raise InvalidInput(
                "the firmware image is empty" if not size else "the firmware image is larger than the BMC takes",
                host=self._bmc.host,
                tried=f"image={image}",
                answer=f"{size} bytes; MaxImageSizeBytes {largest or 'unknown'}",
                next="Check that it is the vendor's file, whole and unpacked as the vendor says.",
            )

    def _unsupported(self, what: str, tried: str, answer: str, next: str | None = None) -> Unsupported:
        return Unsupported(
            f"the BMC does not offer {what}",
            host=self._bmc.host,
            tried=tried,
            answer=answer,
            next=next or "Update with the vendor's own tool, or update the BMC first.",
        )

    # -- updating -----------------------------------------------------------------------------------------------------

    def start(self, update: Update, seconds: float) -> Task | None:
        transport = self._bmc.transport
        if update.how == "simple":
            return task_of(transport.post(update.path, update.parameters, self._bmc.deadline()))
        # A read just before it: the session is alive then, so that the upload is not refused at its end.
        path = link(self._bmc.root(self._bmc.deadline()), "UpdateService") or UPDATE_SERVICE
        service, etag = transport.get_with_etag(path, self._bmc.deadline())
        file = Path(update.image)
        if update.how == "multipart":
            return task_of(transport.upload(update.path, Multipart(file, update.parameters), Deadline(seconds)))
        if "HttpPushUriTargets" in service:
            change: dict[str, Any] = {"HttpPushUriTargets": list(update.targets)}
            transport.patch(path, change, self._bmc.deadline(), etag=etag)
        return task_of(transport.upload(update.path, Plain(file), Deadline(seconds)))

    def wait(self, task: Task | None, seconds: float) -> Task | None:
        if task is not None:
            return wait_for(self._bmc, task, seconds)
        names = self._bmc.profile(self._bmc.deadline()).firmware_state
        if names is None:
            return None
        done, state = wait_until(
            lambda: text(dig(self._service(self._bmc.deadline()), *names)),
            lambda state: state in (None, "Idle", "Complete", "Error"),
            seconds,
            sleep=self._bmc.sleep,
        )
        facts: dict[str, Any] = {
            "host": self._bmc.host,
            "tried": f"reading {'.'.join(names)} of the UpdateService",
            "answer": str(state),
        }
        if not done:
            raise DeadlineExceeded(
                f"the BMC is still updating after {seconds:g} s",
                next="Raise wait_timeout, or look at the version again later: the BMC goes on with it.",
                **facts,
            )
        if state == "Error":
            raise Refused("the BMC's update failed", code="task_failed", next="See the BMC's event log.", **facts)
        return None
