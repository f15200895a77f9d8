# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads a user name and a password from HashiCorp Vault or OpenBao: a secret of a key/value engine, version 2.

Server and token are those of the ``vault`` command: ``VAULT_ADDR``, ``VAULT_TOKEN`` (or ``~/.vault-token``),
``VAULT_CACERT``, ``VAULT_CAPATH``, ``VAULT_NAMESPACE``.
"""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    InvalidInput,
    NotFound,
    Unreachable,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.packages import need

_DEADLINE_S = 10


def read(path: str) -> tuple[str, str]:
    """``username`` and ``password`` of the secret at ``path``, ``<mount>/<path>`` as ``vault kv get`` takes it."""
    try:
        # whoever keeps no secret there need not have it, nor wait for it
        import hvac
        from requests import RequestException
    except ImportError as missing:
        need("hvac", missing)
        raise
    where = os.environ.get("VAULT_ADDR", "")
    client = hvac.Client(url=where or None, namespace=os.environ.get("VAULT_NAMESPACE"), timeout=_DEADLINE_S)
    if not where or not client.token:
        raise InvalidInput(
            f"vault:{path} cannot be read: {'no token' if where else 'VAULT_ADDR is not set'}",
            code="vault_not_configured",
            next="Set VAULT_ADDR, and VAULT_TOKEN or log in with the vault command.",
        )
    mount, slash, name = path.strip("/").partition("/")
    if not slash:
        raise InvalidInput(
            f"vault:{path} names no secret",
            code="credential_reference_unknown",
            next="Use vault:<mount>/<path>, as the vault command does: vault kv get <mount>/<path>.",
        )
    asked: dict[str, Any] = {"host": where, "tried": f"GET /v1/{mount}/data/{name}"}
    try:
        answer = client.secrets.kv.v2.read_secret_version(name, mount_point=mount, raise_on_deleted_version=True)
    except hvac.exceptions.InvalidPath as problem:
        raise NotFound(
            f"Vault has no secret {path}",
            code="credential_not_set",
            next=f"Write it: vault kv put {path} username=… password=…; its engine must be key/value, version 2.",
            **asked,
        ) from problem
    except (hvac.exceptions.Forbidden, hvac.exceptions.Unauthorized) as problem:
        raise AuthenticationError(
            f"Vault does not let its token read {path}",
            answer=str(problem),
            next="Renew the token, or give it a policy that may read this path.",
            **asked,
        ) from problem
    except (hvac.exceptions.VaultError, RequestException) as problem:
        raise Unreachable(
            f"Vault gave no secret: {problem}",
            next="Check VAULT_ADDR and VAULT_CACERT, and that Vault is unsealed.",
            **asked,
        ) from problem
    kept = (answer.get("data") or {}).get("data") or {}
    if not kept.get("username") or not kept.get("password"):
        raise InvalidInput(
            f"the secret {path} in Vault holds {', '.join(sorted(kept)) or 'nothing'}, not username and password",
            code="credential_not_set",
            next=f"Write both: vault kv patch {path} username=… password=…",
            **asked,
        )
    return str(kept["username"]), str(kept["password"])
