# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The client of the Pale Blue Dot API, for modules, the inventory plugin and the command line alike."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from ansible_collections.palebluedot.gpu.plugins.module_utils.service.connection import BASE, Connection, Json


class ServiceClient(Connection):
    """A verb for each of the service's routes that a playbook or the command line needs."""

    # -- who -----------------------------------------------------------------------------------------------------

    def profile(self) -> Json:
        """The user behind the token."""
        return self._get("/users/profile")

    def quota(self) -> Json:
        """``max_*`` and ``used_*`` of the user."""
        return self._get("/users/quota")

    def ssh_keys(self) -> list[Json]:
        """The user's public keys."""
        return list(self.items(f"{BASE}/ssh-keys"))

    def add_ssh_key(self, name: str, public_key: str) -> Json:
        """Register a public key."""
        return self._post("/ssh-keys", {"name": name, "public_key": public_key})

    def delete_ssh_key(self, key_id: str) -> None:
        """Forget a public key."""
        self.request("DELETE", f"{BASE}/ssh-keys/{_segment(key_id)}")

    def mint_token(self, name: str, expires_in_s: int | None = None) -> Json:
        """A new API token: ``id`` and ``token`` (shown once)."""
        return self._post("/tokens", {"name": name, "expires_in_s": expires_in_s})

    # -- allocations ---------------------------------------------------------------------------------------------

    def allocate(self, fields: Mapping[str, Any], *, request: str | None = None) -> Json:
        """Reserve: ``{allocation_id, workflow_id, status, links}``. ``request`` is the Idempotency-Key."""
        return self._post("/gpu/allocate", dict(fields), key=request)

    def allocations(self, **filters: Any) -> Iterator[Json]:
        """Allocations that the caller may see."""
        return self.items(f"{BASE}/allocations", **filters)

    def allocation(self, allocation_id: str) -> Json:
        """One allocation with its servers."""
        return self._get(f"/allocations/{_segment(allocation_id)}")

    def release(self, allocation_or_gpu_id: str, *, executor: str | None = None, wait_s: int | None = None) -> Json:
        """Start the release of an allocation (or of one GPU of it)."""
        answer: Json = self.request(
            "DELETE",
            f"{BASE}/gpu/{_segment(allocation_or_gpu_id)}/release",
            query={"executor": executor},
            headers={"Prefer": f"wait={wait_s}"} if wait_s else None,
            timeout=self.timeout + (wait_s or 0),
        )
        return answer

    def gpus_available(self, **filters: Any) -> Json:
        """What is free now."""
        answer: Json = self.request("GET", f"{BASE}/gpu/available", query=filters)
        return answer

    def gpu_status(self, gpu_id: str) -> Json:
        """One GPU: its server, state, allocation and latest figures."""
        return self._get(f"/gpu/{_segment(gpu_id)}/status")

    # -- servers -------------------------------------------------------------------------------------------------

    def servers(self, **filters: Any) -> Iterator[Json]:
        """Servers; filters are ``state``, ``pool``, ``rack`` and ``model``."""
        return self.items(f"{BASE}/servers", **filters)

    def server(self, server: str) -> Json:
        """One server by id or name."""
        return self._get(f"/servers/{_segment(server)}")

    def import_fleet(self, document: Mapping[str, Any]) -> Json:
        """Register networks, switches and servers from an import document."""
        return self._post("/servers", dict(document))

    def record_inspection(self, server: str, facts: Mapping[str, Any]) -> Json:
        """Store what an inspection found."""
        answer: Json = self.request("PUT", f"{BASE}/servers/{_segment(server)}/inspection", body=dict(facts))
        return answer

    def clean_server(self, server: str) -> Json:
        """Start a clean workflow."""
        return self._post(f"/servers/{_segment(server)}/clean", {})

    def set_server_flags(self, server: str, flags: Mapping[str, Any]) -> Json:
        """Change ``hands_off`` (with ``reason``)."""
        answer: Json = self.request(
            "PATCH", f"{BASE}/servers/{_segment(server)}/flags", body=dict(flags), idempotent=True
        )
        return answer

    def set_server_state(self, server: str, state: str, reason: str) -> Json:
        """Put a server into ``maintenance``, ``quarantined`` or ``retired``; ``inspecting`` ends a maintenance."""
        answer: Json = self.request(
            "PUT", f"{BASE}/servers/{_segment(server)}/state", body={"state": state, "reason": reason}, idempotent=True
        )
        return answer

    def server_credential(self, server: str) -> Json:
        """``username`` and ``password`` of a server's BMC; the service audits who asked."""
        return self._get(f"/servers/{_segment(server)}/credential")

    def change_server_credential(self, server: str, body: Json) -> Json:
        """Say one phase of changing a BMC's password; the credential as it is on record then."""
        answer: Json = self.request("PUT", f"{BASE}/servers/{_segment(server)}/credential", body=body)
        return answer

    def switch_credential(self, switch: str) -> Json:
        """``username`` and ``password`` of a switch; the service audits who asked."""
        return self._get(f"/switches/{_segment(switch)}/credential")

    # -- enrolment -----------------------------------------------------------------------------------------------

    def replace_part(
        self, server: str, kind: str, old_serial: str, new_serial: str | None = None, *, reason: str
    ) -> Json:
        """Announce that a part of a server is exchanged."""
        body = {"kind": kind, "old_serial": old_serial, "new_serial": new_serial, "reason": reason}
        return self._post(f"/servers/{_segment(server)}/replace-part", body)

    def adopt_server(self, server: str, user: str, **options: Any) -> Json:
        """Make a server that is in use the user's allocation; answers that."""
        body = {"user": user, **{name: value for name, value in options.items() if value is not None}}
        return self._post(f"/servers/{_segment(server)}/adopt", body)

    def import_expected(self, machines: list[Json], *, replace: bool = False) -> Json:
        """Say which machines are expected."""
        return self._post("/expected-machines", {"machines": machines, "replace": replace})

    def expected_machines(self, **filters: Any) -> Iterator[Json]:
        """The expected machines; the filter is ``rack``."""
        return self.items(f"{BASE}/expected-machines", **filters)

    def reconciliation(self, status: str | None = None) -> Json:
        """What was found of the expected machines: ``{counts, items}``."""
        answer: Json = self.request("GET", f"{BASE}/reconciliation", query={"status": status})
        return answer

    def rules(self) -> Json:
        """The enrolment rules in force."""
        return self._get("/enrolment-rules")

    def set_rules(self, content: str) -> Json:
        """Keep a rule file as the newest version."""
        answer: Json = self.request("PUT", f"{BASE}/enrolment-rules", body={"content": content})
        return answer

    def check_rules(self, server: str, content: str | None = None) -> Json:
        """What the rules in force, or those of a file, make of a server."""
        return self._post("/enrolment-rules/check", {"server": server, "content": content})

    def topology(self) -> Json:
        """Racks, NVLink domains, switch ports, and what contradicts itself."""
        return self._get("/topology")

    # -- the fleet as a whole ------------------------------------------------------------------------------------

    def freeze(self) -> Json:
        """Whether the fleet is frozen, and why."""
        return self._get("/fleet/freeze")

    def set_freeze(self, frozen: bool, reason: str | None = None) -> Json:
        """Freeze or thaw the fleet."""
        answer: Json = self.request("PUT", f"{BASE}/fleet/freeze", body={"frozen": frozen, "reason": reason})
        return answer

    # -- workflows and the step ledger ---------------------------------------------------------------------------

    def workflows(self, **filters: Any) -> Iterator[Json]:
        """Workflows that the caller may see."""
        return self.items(f"{BASE}/workflows", **filters)

    def workflow(self, workflow_id: str) -> Json:
        """One workflow with its steps."""
        return self._get(f"/workflows/{_segment(workflow_id)}")

    def claim(
        self,
        workflow_id: str,
        claimant: str,
        *,
        takeover_fence: int | None = None,
        playbook_commit: str | None = None,
    ) -> Json:
        """Claim a workflow: ``{workflow_id, fence, attempt}``.

        :raises Conflict: ``claim_held``; ``details`` names the holder, its fence and when the claim expires.
        """
        body: Json = {"claimant": claimant}
        if takeover_fence is not None:
            body["takeover_fence"] = takeover_fence
        if playbook_commit is not None:
            body["playbook_commit"] = playbook_commit
        return self._post(f"/workflows/{_segment(workflow_id)}/claim", body)

    def run_document(self, workflow_id: str) -> Json:
        """What a playbook needs to do a workflow's work."""
        return self._get(f"/workflows/{_segment(workflow_id)}/run")

    def step(
        self,
        workflow_id: str,
        step: str,
        server: str,
        attempt: int,
        entry: Mapping[str, Any],
        timeout: float | None = None,
    ) -> Json:
        """Begin or end a step in the ledger: ``{action, reason, previous}``."""
        path = (
            f"{BASE}/workflows/{_segment(workflow_id)}/steps/{_segment(step)}"
            f"/servers/{_segment(server)}/attempts/{int(attempt)}"
        )
        answer: Json = self.request("PUT", path, body=dict(entry), timeout=timeout)
        return answer

    def report(self, workflow_id: str, kind: str, server: str, timeout: float | None = None) -> Json:
        """What the machine itself reported (``first-boot``, ``erase``); NotFound until it came."""
        path = f"{BASE}/workflows/{_segment(workflow_id)}/reports/{_segment(kind)}/servers/{_segment(server)}"
        answer: Json = self.request("GET", path, timeout=timeout)
        return answer

    # -- telemetry, health ---------------------------------------------------------------------------------------

    def store_telemetry(self, points: list[Json], asked: list[str] | None = None) -> Json:
        """Store points: ``stored``. With ``asked``, the servers whose BMCs were asked, the service answers how many
        more it wants watched: ``unasked``."""
        # the service moves the points' times to its own clock by what this machine's says now
        body: Json = {"points": points, "sent_at": datetime.now(UTC).isoformat()}
        if asked is not None:
            body["asked"] = asked
        answer: Json = self.request("POST", f"{BASE}/telemetry", body=body, idempotent=True)
        return answer

    def alerts(self, **filters: Any) -> Iterator[Json]:
        """Alerts."""
        return self.items(f"{BASE}/alerts", **filters)

    def readyz(self) -> Json:
        """Whether the service can work; an error when it cannot."""
        return self._get("/readyz")

    # -- helpers -------------------------------------------------------------------------------------------------

    def _get(self, path: str) -> Json:
        answer: Json = self.request("GET", BASE + path)
        return answer

    def _post(self, path: str, body: Json, *, key: str | None = None) -> Json:
        answer: Json = self.request(
            "POST", BASE + path, body=body, headers={"Idempotency-Key": key or str(uuid.uuid4())}
        )
        return answer


def _segment(value: str) -> str:
    """One path segment; a name can hold no slash that would reach another route."""
    return quote(str(value), safe="")
