# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Filter ``enrolment``: holds the BMCs that a scan found against the list of machines that should be there."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

Json = dict[str, Any]

# What identifies a machine in the list, and the name of the same thing in a scan.
_SELECTORS = {"bmc_mac": "mac", "serial_number": "serial_number", "uuid": "uuid"}
# What of a row identifies the machine or opens it for the first time, and is not for the record.
_FIRST_LOGIN = ("bmc_username", "bmc_password", "serial_number", "uuid", "bmc_mac")


def enrolment(
    found: Iterable[Mapping[str, Any]],
    machines: Iterable[Mapping[str, Any]],
    known: Iterable[Mapping[str, Any]] = (),
    unlisted: bool = False,
    only: str | None = None,
    bootstrap: bool = True,
) -> Json:
    """What is to be done with each BMC of a scan.

    :param found: ``found`` of ``bmc_discover``.
    :param machines: rows of the list: ``name``, what identifies the machine (``bmc_address``, ``bmc_mac``,
        ``serial_number``, ``uuid``), its first credential (``bmc_username``, ``bmc_password``), and anything else that
        an import document's servers have.
    :param known: variables of the hosts that the record has already.
    :param unlisted: whether a BMC that nobody listed is enrolled too, under a name made of its address.
    :param only: names, separated by commas: of the others nothing is done and nothing is said.
    :param bootstrap: whether a first login will make an account of our own. Where none does (nor over IPMI), the list's
        credential is the one to record.
    :return: ``servers`` (rows for the import document), ``hosts`` (one mapping a BMC, with what its first login needs),
        ``missing`` (names of machines that were not found), ``unexpected`` and ``known`` (entries of the scan).
    """
    wanted = {name.strip() for name in only.split(",")} if only else None
    rows = [dict(row) for row in machines]
    recorded = [host for host in known if host.get("bmc_address")]
    plan: Json = {"servers": [], "hosts": [], "missing": [], "unexpected": [], "known": []}
    taken: set[str] = set()
    for each in found:
        bmc = dict(each)
        row = next((row for row in rows if _is(row, bmc)), None)
        if row is not None:
            if row["name"] not in taken:  # the second address of a machine is no second machine
                taken.add(row["name"])
                if wanted is None or row["name"] in wanted:
                    _add(plan, row, bmc, bootstrap)
        elif any(_same_place(host, bmc) for host in recorded):
            plan["known"].append(bmc)
        elif unlisted:
            _add(plan, {"name": _name_of(bmc)}, bmc, bootstrap)
        else:
            plan["unexpected"].append(bmc)
    plan["missing"] = [
        row["name"] for row in rows if row["name"] not in taken and (wanted is None or row["name"] in wanted)
    ]
    return plan


def _is(row: Json, bmc: Json) -> bool:
    """Whether a row of the list is this BMC: by its address if it has one, else by whatever else is known of both."""
    if row.get("bmc_address"):
        return _same_place(row, bmc)
    pairs = [(row.get(mine), bmc.get(theirs)) for mine, theirs in _SELECTORS.items() if row.get(mine)]
    comparable = [(mine, theirs) for mine, theirs in pairs if theirs]
    return bool(comparable) and all(_plain(mine) == _plain(theirs) for mine, theirs in comparable)


def _same_place(row: Mapping[str, Any], bmc: Json) -> bool:
    if _address(row["bmc_address"]) not in (_address(bmc["address"]), _address(bmc.get("name") or bmc["address"])):
        return False
    return not row.get("bmc_port") or int(row["bmc_port"]) == int(bmc["port"])


def _add(plan: Json, row: Json, bmc: Json, bootstrap: bool) -> None:
    name = row["name"]
    bootstrap = bootstrap and bmc["protocol"] == "redfish"
    place = {"bmc_address": bmc["address"], "bmc_port": bmc["port"], "bmc_protocol": bmc["protocol"]}
    if not row.get("bmc_ca_path") and row.get("bmc_validate_certs", True) and bmc.get("fingerprint"):
        place["bmc_fingerprint"] = bmc["fingerprint"]
    kept = {key: value for key, value in row.items() if key not in _FIRST_LOGIN and value is not None}
    secret = {key: row[f"bmc_{key}"] for key in ("username", "password") if row.get(f"bmc_{key}")}
    recorded = {} if bootstrap else {f"bmc_{key}": value for key, value in secret.items()}
    plan["servers"].append({**kept, **place, **recorded})
    plan["hosts"].append(
        {
            "name": name,
            **place,
            **{key: row[key] for key in ("bmc_ca_path", "bmc_validate_certs") if row.get(key) is not None},
            "bootstrap": bootstrap,
            "first_login": {
                "credentials": [secret] if len(secret) == 2 else [],
                "serial_number": row.get("serial_number"),
                "mac": bmc.get("mac"),
            },
        }
    )


def _name_of(bmc: Json) -> str:
    """A DNS label of an address: bmc-10-20-0-17, with the port where it is not the usual one."""
    port = "" if int(bmc["port"]) in (443, 623) else f"-{bmc['port']}"
    return re.sub(r"[^a-z0-9]+", "-", f"bmc-{bmc.get('name') or bmc['address']}{port}".lower()).strip("-")[:63]


def _address(value: Any) -> str:
    bare = str(value).strip().strip("[]").lower()
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return bare.rstrip(".")


def _plain(value: Any) -> str:
    return re.sub(r"[^0-9a-z]", "", str(value).lower())


class FilterModule:
    """Ansible's way in."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"enrolment": enrolment}
