# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Resolves credential references, in the memory of the process that uses them.

=============================  =====================================================================
``service:<server>``           the BMC of that server, asked of the service
``service:<server>/proposed``  what that BMC is to have: a change that is under way
``service:switch/<name>``      that switch, asked of the service
``env:NAME``                   ``user:password`` in that environment variable
``vault:<mount>/<path>``       ``username`` and ``password`` of that secret in HashiCorp Vault or OpenBao
=============================  =====================================================================
"""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from typing import Any, NamedTuple

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    Conflict,
    InvalidInput,
    NotFound,
    PaleBlueDotError,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.service import vault
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.client import ServiceClient

Params = MutableMapping[str, Any]

# In an entry of ``bmcs``: why its reference could not be resolved, as an ``error`` object that `open_bmc` raises.
PROBLEM = "credential_problem"


class Credential(NamedTuple):
    """A user name and its password."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credential(username={self.username!r}, password=***)"


def client_from(
    params: MutableMapping[str, Any] | dict[str, Any], timeout: float = 60.0, *, patient: bool = True
) -> ServiceClient:
    """The client that a module's ``api_*`` options ask for. It waits for a service that is being restarted."""
    url = params.get("api_url")
    if not url:
        raise InvalidInput(
            "api_url is not set",
            code="service_not_configured",
            next="Set api_url and api_token or api_token_file, or PALEBLUEDOT_URL and PALEBLUEDOT_TOKEN(_FILE).",
        )
    return ServiceClient(
        url,
        token=params.get("api_token"),
        token_file=params.get("api_token_file"),
        ca_path=params.get("api_ca_path"),
        timeout=timeout,
        patient=patient,
    )


def resolve(reference: str, client: ServiceClient | None) -> Credential:
    """What ``reference`` stands for; ``client`` is needed for ``service:`` references only."""
    kind, _colon, name = reference.partition(":")
    if kind == "env" and name:
        return _from_environment(name)
    if kind == "vault" and name:
        return Credential(*vault.read(name))
    if kind == "service" and name:
        if client is None:
            raise InvalidInput(f"the credential {reference!r} needs the service", next="Set api_url and a token.")
        if name.endswith("/proposed"):
            return _proposed(name.removesuffix("/proposed"), client)
        switch = name.removeprefix("switch/")
        answer = client.server_credential(name) if switch == name else client.switch_credential(switch)
        return Credential(str(answer["username"]), str(answer["password"]))
    raise InvalidInput(
        f"{reference!r} is not a credential reference",
        code="credential_reference_unknown",
        next="Use service:<server>, service:<server>/proposed, service:switch/<name>, env:<NAME> or "
        "vault:<mount>/<path>.",
    )


def _proposed(server: str, client: ServiceClient) -> Credential:
    answer = client.server_credential(server)
    if not answer.get("proposed_password"):
        raise InvalidInput(
            f"no new password is proposed for {server}",
            code="no_proposal",
            host=server,
            next="Propose one first: server_credential with phase propose.",
        )
    return Credential(str(answer.get("proposed_username") or answer["username"]), str(answer["proposed_password"]))


def _from_environment(name: str) -> Credential:
    value = os.environ.get(name, "")
    username, colon, password = value.partition(":")
    if not colon or not username:
        raise InvalidInput(
            f"the environment variable {name} does not hold user:password",
            code="credential_not_set",
            next=f"Set {name}=user:password in the environment of ansible-playbook.",
        )
    return Credential(username, password)


def _references(params: Params) -> Iterator[tuple[Params, str]]:
    """Every place of ``params`` that holds a reference, with its prefix."""
    for prefix in ("bmc_", "switch_"):
        if params.get(f"{prefix}credential"):
            yield params, prefix
    if params.get("credential"):  # of what is set, not of where to log in
        yield params, ""
    for entry in params.get("bmcs") or []:
        if entry.get("credential"):
            yield entry, ""


def resolve_credentials(params: Params) -> set[str]:
    """Fill in ``*username`` and ``*password`` wherever ``params`` holds a reference, in place.

    An explicit password wins over a reference. An entry of ``bmcs`` of which there is no credential keeps the reason,
    and is that BMC's failure, not that of all the others; a service that is away or refuses the token is everybody's.

    :return: the secrets, to be masked in whatever leaves this process.
    """
    client: ServiceClient | None = None
    known: dict[str, Credential | PaleBlueDotError] = {}
    try:
        for place, prefix in _references(params):
            if place.get(f"{prefix}password"):
                continue
            reference = str(place[f"{prefix}credential"])
            if reference not in known:
                if reference.startswith("service:") and client is None:
                    client = client_from(params)
                known[reference] = _resolved(reference, client)
            found = known[reference]
            if isinstance(found, Credential):
                place[f"{prefix}username"], place[f"{prefix}password"] = found
            elif place is params:
                raise found
            else:
                place[PROBLEM] = found.as_dict()
    finally:
        if client is not None:
            client.close()
    return {found.password for found in known.values() if isinstance(found, Credential) and found.password}


def _resolved(reference: str, client: ServiceClient | None) -> Credential | PaleBlueDotError:
    """The credential, or what is wrong with this very one."""
    try:
        return resolve(reference, client)
    except PaleBlueDotError as problem:
        # Vault has a policy for each path
        own = isinstance(problem, NotFound | InvalidInput | Conflict) or problem.code == "secret_unreadable"
        if own or (isinstance(problem, AuthenticationError) and reference.startswith("vault:")):
            return problem
        raise


def drop_references(params: Params) -> None:
    """Take out the references, in place: what they stand for has been filled in. One that could not be resolved stays,
    so that whoever gets ``params`` finds the same reason."""
    for place, prefix in list(_references(params)):
        if place.pop(PROBLEM, None) is None:
            del place[f"{prefix}credential"]
