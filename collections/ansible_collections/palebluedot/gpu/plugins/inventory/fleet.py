# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts and groups straight from the Pale Blue Dot service."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: fleet
short_description: The fleet of servers, from the Pale Blue Dot service
version_added: 0.1.0
description:
  - Makes every server of the record a host, and groups them by C(state_<state>), C(pool_<pool>), C(rack_<rack>) and
    C(model_<model>). What is no letter, digit or underscore becomes an underscore in a group's name.
  - The group C(watched) holds the servers whose figures are collected, by their state.
  - A group for each state of a server always exists, and so does C(watched), so that a play over an empty one matches
    nothing quietly.
  - Host variables are flat and hold no secret. C(bmc_credential) is a reference that the modules resolve when they run.
  - The configuration file's name ends in C(fleet.yml) or C(fleet.yaml).
author:
  - Pale Blue Dot contributors (@palebluedot)
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [palebluedot.gpu.fleet]
  api_url:
    description: URL of the service, such as V(https://gpu.example.com).
    type: str
    required: true
    env:
      - name: PALEBLUEDOT_URL
  api_token:
    description: API token. Prefer O(api_token_file).
    type: str
    env:
      - name: PALEBLUEDOT_TOKEN
  api_token_file:
    description: File that holds the token. Ignored when O(api_token) is set.
    type: path
    env:
      - name: PALEBLUEDOT_TOKEN_FILE
  api_ca_path:
    description: PEM file with the authority that signed the service's certificate.
    type: path
    env:
      - name: PALEBLUEDOT_CA_PATH
  api_timeout:
    description: Seconds that one request to the service may take.
    type: int
    default: 60
  state:
    description: Only servers in one of these states. The service filters.
    type: list
    elements: str
    default: []
  pool:
    description: Only servers of one of these pools. The service filters.
    type: list
    elements: str
    default: []
  rack:
    description: Only servers in one of these racks. The service filters.
    type: list
    elements: str
    default: []
  model:
    description: Only servers whose model has one of these in its name. The service filters.
    type: list
    elements: str
    default: []
notes:
  - O(compose), O(groups) and O(keyed_groups) are evaluated for every host on every start. The groups above are not, and
    cost a tenth.
extends_documentation_fragment:
  - constructed
  - inventory_cache
"""

EXAMPLES = r"""
# inventory/fleet.yml: the whole fleet; PALEBLUEDOT_URL and PALEBLUEDOT_TOKEN_FILE say where the service is
plugin: palebluedot.gpu.fleet

---
# inventory/training-fleet.yml: a part of it
plugin: palebluedot.gpu.fleet
api_url: https://gpu.example.com
api_token_file: ~/.config/palebluedot/token
state: [available, active]
pool: [training]
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/palebluedot
cache_timeout: 300
"""

import itertools
import re
from collections.abc import Iterator
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import PaleBlueDotError
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.client import ServiceClient

Json = dict[str, Any]

_FILTERS = ("state", "pool", "rack", "model")
_PAGE = 200
_STATES = (
    "enrolled",
    "inspecting",
    "available",
    "reserved",
    "provisioning",
    "active",
    "suspended",
    "cleaning",
    "quarantined",
    "failed",
    "maintenance",
    "retired",
)
# What the modules take as options, under the very name.
_BMC = ("bmc_address", "bmc_port", "bmc_protocol", "bmc_validate_certs", "bmc_ca_path", "bmc_fingerprint")
# What plays ask for, as server_<name>.
_ABOUT = (
    "id",
    "state",
    "rack",
    "pool",
    "manufacturer",
    "model",
    "serial_number",
    "nvlink_domain",
    "gpu_count",
    "gpu_model",
    "gpu_memory_gb",
    "hands_off",
    "warm",
)


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):  # type: ignore[misc]
    """See DOCUMENTATION."""

    NAME = "palebluedot.gpu.fleet"

    def verify_file(self, path: str) -> bool:
        """Whether the file is this plugin's, by its name."""
        return bool(super().verify_file(path)) and path.endswith(("fleet.yml", "fleet.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill ``inventory`` with the servers that the service, or the cache, has."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        servers = self._servers(path, cache)
        for state in _STATES:
            self.inventory.add_group(f"state_{state}")
        self.inventory.add_group("watched")
        constructed = any(self.get_option(name) for name in ("compose", "groups", "keyed_groups"))
        for server in servers:
            self._add(server)
            if constructed:
                self._construct(server["name"])

    def _servers(self, path: str, cache: bool) -> list[Json]:
        """The raw list, which is also what is cached: one entry for one source."""
        self.load_cache_plugin()
        key = self.get_cache_key(path)
        may_cache = self.get_option("cache")
        if may_cache and cache:
            try:
                cached: list[Json] = self._cache[key]
            except KeyError:
                pass
            else:
                return cached
        servers = self._ask()
        if may_cache:
            self._cache[key] = servers
        return servers

    def _ask(self) -> list[Json]:
        try:
            with ServiceClient(
                self.get_option("api_url"),
                token=self.get_option("api_token"),
                token_file=self.get_option("api_token_file"),
                ca_path=self.get_option("api_ca_path"),
                timeout=float(self.get_option("api_timeout")),
            ) as client:
                found: dict[str, Json] = {}
                for query in self._queries():
                    # the filters may overlap: a model can be named twice
                    found.update((server["name"], _kept(server)) for server in client.servers(limit=_PAGE, **query))
        except PaleBlueDotError as problem:
            # its text says all; a cause would be printed as the same text once more
            raise AnsibleParserError(f"The fleet cannot be read: {problem}") from None
        return list(found.values())

    def _queries(self) -> Iterator[Json]:
        """One query for each combination of filter values; the service takes one value of each."""
        wanted = {name: self.get_option(name) for name in _FILTERS if self.get_option(name)}
        for values in itertools.product(*wanted.values()):
            yield dict(zip(wanted, values, strict=True))

    def _add(self, server: Json) -> None:
        name = server["name"]
        self.inventory.add_host(name)
        host = self.inventory.hosts[name]
        for variable, value in _variables(server).items():
            host.set_variable(variable, value)
        for kind in _FILTERS:
            if server.get(kind) is not None:
                group = re.sub(r"\W", "_", f"{kind}_{server[kind]}", flags=re.ASCII)
                self.inventory.add_group(group)
                self.inventory.add_child(group, name)
        if server.get("watched"):
            self.inventory.add_child("watched", name)

    def _construct(self, name: str) -> None:
        variables = self.inventory.hosts[name].get_vars()
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict=strict)


def _kept(server: Json) -> Json:
    """The part of a server that becomes variables and groups; the rest would only fill the cache."""
    names = ("name", "watched", "hardware_profile", *_BMC, *_ABOUT)
    return {name: server[name] for name in names if server.get(name) is not None}


def _variables(server: Json) -> Json:
    variables = {name: server[name] for name in _BMC if name in server}
    variables |= {f"server_{name}": server[name] for name in _ABOUT if name in server}
    variables["bmc_credential"] = f"service:{server['name']}"
    if "hardware_profile" in server:
        variables["hardware_profile"] = server["hardware_profile"]
    return variables
