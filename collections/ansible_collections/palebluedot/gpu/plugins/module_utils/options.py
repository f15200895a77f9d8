# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The option groups as argument specs. Their documentation is in ``plugins/doc_fragments`` under the same names.

A module's ``SPEC`` is ``{"argument_spec": {...}, "supports_check_mode": True}`` plus, where needed, AnsibleModule's
``mutually_exclusive``, ``required_together``, ``required_one_of``, ``required_if`` and ``required_by``.
"""

from __future__ import annotations

from typing import Any

from ansible.module_utils.common.parameters import env_fallback

Spec = dict[str, Any]


def _option(name: str | tuple[str, ...], type: str = "str", **more: Any) -> Spec:
    names = [name] if isinstance(name, str) else list(name)
    return {"type": type, "fallback": (env_fallback, names), **more}


def service() -> Spec:
    """Where the Pale Blue Dot service is and who asks."""
    return {
        "api_url": _option("PALEBLUEDOT_URL"),
        "api_token": _option("PALEBLUEDOT_TOKEN", no_log=True),
        "api_token_file": _option("PALEBLUEDOT_TOKEN_FILE", "path", no_log=False),
        "api_ca_path": _option("PALEBLUEDOT_CA_PATH", "path"),
    }


def _bmc(prefix: str, *, fallbacks: bool) -> Spec:
    def option(name: str, type: str = "str", **more: Any) -> Spec:
        if fallbacks:
            return _option(f"PALEBLUEDOT_BMC_{name.upper()}", type, **more)
        return {"type": type, **more}

    return {
        f"{prefix}address": option("address", required=True),
        f"{prefix}port": option("port", "int"),
        f"{prefix}username": option("username"),
        f"{prefix}password": option("password", no_log=True),
        f"{prefix}credential": option("credential", no_log=False),
        f"{prefix}protocol": option("protocol", choices=["auto", "redfish", "ipmi"], default="auto"),
        f"{prefix}auth": option("auth", choices=["auto", "session", "basic"], default="auto"),
        f"{prefix}validate_certs": option("validate_certs", "bool", default=True),
        f"{prefix}ca_path": option("ca_path", "path"),
        f"{prefix}fingerprint": option("fingerprint"),
        f"{prefix}timeout": option("timeout", "int", default=30),
        "system_id": _option("PALEBLUEDOT_SYSTEM_ID") if fallbacks else {"type": "str"},
    }


def bmc() -> Spec:
    """One BMC, and the service that resolves its credential."""
    return {**_bmc("bmc_", fallbacks=True), **service()}


def bmcs() -> Spec:
    """Many BMCs: the ``bmcs`` list (the ``bmc_*`` options without their prefix, and a ``name``), and the service."""
    entry: Spec = {"name": {"type": "str"}, **_bmc("", fallbacks=False)}
    return {
        "bmcs": {"type": "list", "elements": "dict", "required": True, "options": entry},
        "concurrency": {"type": "int", "default": 64},
        **service(),
    }


def switch() -> Spec:
    """One switch, and the service that resolves its credential."""
    return {
        "switch_address": _option("PALEBLUEDOT_SWITCH_ADDRESS", required=True),
        "switch_grpc_port": _option("PALEBLUEDOT_SWITCH_GRPC_PORT", "int"),
        "switch_username": _option("PALEBLUEDOT_SWITCH_USERNAME"),
        "switch_password": _option("PALEBLUEDOT_SWITCH_PASSWORD", no_log=True),
        "switch_credential": _option("PALEBLUEDOT_SWITCH_CREDENTIAL", no_log=False),
        "switch_dialect": _option(
            "PALEBLUEDOT_SWITCH_DIALECT",
            choices=["openconfig", "eos", "nxos", "sonic", "srlinux"],
            default="openconfig",
        ),
        "switch_ca_path": _option("PALEBLUEDOT_SWITCH_CA_PATH", "path"),
        "switch_timeout": _option("PALEBLUEDOT_SWITCH_TIMEOUT", "int", default=30),
        **service(),
    }


def tinkerbell() -> Spec:
    """The Kubernetes API that serves Tinkerbell's kinds."""
    return {
        "kubeconfig": _option(("PALEBLUEDOT_KUBECONFIG", "KUBECONFIG"), "path"),
        "context": _option("PALEBLUEDOT_CONTEXT"),
        "namespace": _option("PALEBLUEDOT_NAMESPACE", default="tinkerbell"),
    }
