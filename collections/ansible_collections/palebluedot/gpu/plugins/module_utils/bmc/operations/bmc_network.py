# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``bmc_network``: the BMC's own network, read back where the BMC is then."""

from __future__ import annotations

import ipaddress
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost, Bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import wait_until
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.network import MOVING, ManagerNetwork, Network
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi.network import IpmiNetwork
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.network import RedfishNetwork
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    BadAnswer,
    InvalidInput,
    PaleBlueDotError,
    Unreachable,
)

Params = dict[str, Any]

_LISTS = ("ntp_servers", "dns_servers")
_SINGLE = ("hostname", "dhcp", "address", "netmask", "gateway", "vlan", "ipmi_enabled")
# One look at an address at which the BMC may not be (yet).
_LOOK_S = 10
# A BMC answers a change before it moves; where it was, it has to be seen for so long to count as staying.
_STAYS_AFTER_S = 3.0


def run(params: Params, check_mode: bool) -> dict[str, Any]:
    """Change what differs, and read it back, at the new address if it has one."""
    wanted = _wanted(params)
    with open_bmc(params) as bmc:
        network = _network(bmc, params)
        before = network.read()
        changes = {name: value for name, value in wanted.items() if getattr(before, name) != value}
        if changes:
            network.check(changes, before)
        planned = replace(before, **changes)
        found_at = params["bmc_address"]
        after = planned if check_mode else before
        if changes and not check_mode:
            with suppress(AnswerLost):  # it may have moved before it answered
                network.write(changes, before)
            found_at, after = _read_back(network, changes, params)
    return {
        "changed": bool(changes),
        "network": after.as_dict(),
        "found_at": found_at,
        "diff": {"before": before.as_dict(), "after": planned.as_dict()},
    }


def _network(bmc: Bmc, params: Params) -> ManagerNetwork:
    network: ManagerNetwork = bmc.facet(
        redfish=lambda redfish: RedfishNetwork(redfish, params["bmc_address"], params.get("interface")),
        ipmi=IpmiNetwork,
    )
    return network


def _wanted(params: Params) -> dict[str, Any]:
    wanted = {name: params[name] for name in _SINGLE if params.get(name) is not None}
    wanted |= {name: tuple(params[name]) for name in _LISTS if params.get(name) is not None}
    for name in ("address", "netmask", "gateway"):
        if name in wanted:
            _check_ipv4(params, name, wanted[name])
    if any(name in wanted for name in ("address", "netmask", "gateway")):
        if wanted.get("dhcp"):
            raise InvalidInput(
                "an address of its own and one from DHCP exclude each other",
                host=params["bmc_address"],
                next="Leave out dhcp, or address, netmask and gateway.",
            )
        wanted["dhcp"] = False
    return wanted


def _check_ipv4(params: Params, name: str, value: str) -> None:
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        raise InvalidInput(
            f"{name} {value!r} is no IPv4 address",
            host=params["bmc_address"],
            next="Write it as four numbers with dots between.",
        ) from None


def _read_back(network: ManagerNetwork, changes: dict[str, Any], params: Params) -> tuple[str, Network]:
    """Where the BMC was found, and what it says there. It is looked for where it shall be and where it was: behind a
    translation of addresses it stays where it was."""
    moves = any(name in changes for name in MOVING)
    places = list(dict.fromkeys([changes.get("address", params["bmc_address"]), params["bmc_address"]]))
    problems: dict[str, PaleBlueDotError] = {}
    since: dict[str, float] = {}

    def look() -> tuple[str, Network] | None:
        for place in places:
            try:
                if not moves:
                    return place, network.read()
                there = {**params, "bmc_address": place, "bmc_timeout": min(_LOOK_S, params.get("bmc_timeout") or 30)}
                with open_bmc(there) as bmc:
                    found = place, _network(bmc, there).read()
                problems.pop(place, None)
                first = since.setdefault(place, time.monotonic())
                moved = place == changes.get("address")
                if _shows(found[1], changes) and (moved or time.monotonic() - first >= _STAYS_AFTER_S):
                    return found
            except PaleBlueDotError as problem:
                problems[place] = problem
                since.pop(place, None)
        return None

    done, found = wait_until(
        look, lambda seen: seen is not None and _shows(seen[1], changes), float(params["wait_timeout"])
    )
    if done and found is not None:
        return found
    shown = _as_text({name: changes[name] for name in changes})
    if len(problems) == len(places) or (moves and "address" in changes and changes["address"] in problems):
        raise Unreachable(
            "the BMC took the change of its network and is not found where it should be now",
            code="moved_away",
            host=network.host,
            tried=f"{shown}, then looking at {' and '.join(places)} for {params['wait_timeout']} s",
            answer="; ".join(f"{place}: {problem.message}" for place, problem in problems.items()),
            next="With DHCP, find it by bmc_discover; check the route, the VLAN of its port and its certificate; then "
            "correct the address in the record.",
            retryable=False,
        )
    raise BadAnswer(
        "the BMC accepted the change of its network and does not show it",
        code="not_applied",
        host=network.host,
        tried=shown,
        answer=_as_text(found[1].as_dict()) if found else "read, with other values",
        next="Some BMCs want a restart first: bmc_reset.",
    )


def _shows(found: Network, changes: dict[str, Any]) -> bool:
    return all(getattr(found, name) == value for name, value in changes.items())


def _as_text(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
