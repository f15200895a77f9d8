"""Secure Boot of the host: what the next boot verifies, and with which keys."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from lab.redfish.errors import RedfishError
from lab.redfish.routes import ROOT, Answer, Body, Call, action_info, ami, link, members, routes
from lab.redfish.systems import DGX

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc

SECURE_BOOT = f"{DGX}/SecureBoot"
DATABASES = ("PK", "KEK", "db", "dbx")
RESETS = {"ResetAllKeysToDefault": "factory", "DeleteAllKeys": "deleted", "DeletePK": "deleted"}


@routes.get("/Systems/DGX/SecureBoot")
def secure_boot(bmc: RedfishBmc) -> Body:
    state = bmc.state.secure_boot
    return ami(
        SECURE_BOOT,
        "SecureBoot.v1_1_0.SecureBoot",
        Actions={
            "#SecureBoot.ResetKeys": {
                "@Redfish.ActionInfo": f"{ROOT}{SECURE_BOOT}/ResetKeysActionInfo",
                "target": f"{ROOT}{SECURE_BOOT}/Actions/SecureBoot.ResetKeys",
            }
        },
        Description="A reference to the UEFI SecureBoot resource associated with this system",
        Id="SecureBoot",
        Name="UEFI Secure Boot",
        SecureBootCurrentBoot="Enabled" if state.current else "Disabled",
        SecureBootDatabases=link(f"{SECURE_BOOT}/SecureBootDatabases"),
        SecureBootEnable=state.enable,
        SecureBootMode="SetupMode" if state.keys == "deleted" else "UserMode",
    )


@routes.patch("/Systems/DGX/SecureBoot")
async def change(call: Call) -> Answer:
    for name, value in call.body.items():
        if name != "SecureBootEnable":
            raise RedfishError("PropertyNotWritable", name)
        if not isinstance(value, bool):
            raise RedfishError("PropertyValueTypeError", str(value), name)
        call.bmc.state.secure_boot.enable = value
    return Answer()


@routes.get("/Systems/DGX/SecureBoot/ResetKeysActionInfo")
def reset_keys_action_info(bmc: RedfishBmc) -> Body:
    return action_info(
        f"{SECURE_BOOT}/ResetKeysActionInfo",
        "ResetKeysActionInfo",
        "This action is used to reset the Secure Boot keys.",
        ResetKeysType=list(RESETS),
    )


@routes.post("/Systems/DGX/SecureBoot/Actions/SecureBoot.ResetKeys")
async def reset_keys(call: Call) -> Answer:
    """The keys change in the next POST."""
    (kind,) = call.require("SecureBoot.ResetKeys", "ResetKeysType")
    if kind not in RESETS:
        raise RedfishError("ActionParameterValueNotInList", str(kind), "ResetKeysType", "SecureBoot.ResetKeys")
    call.bmc.state.secure_boot.keys_pending = RESETS[kind]
    return Answer()


def _names() -> list[str]:
    return [name for database in DATABASES for name in (database, f"{database}Default")]


@routes.get("/Systems/DGX/SecureBoot/SecureBootDatabases")
def databases(bmc: RedfishBmc) -> Body:
    return ami(
        f"{SECURE_BOOT}/SecureBootDatabases",
        "SecureBootDatabaseCollection.SecureBootDatabaseCollection",
        **members([f"{SECURE_BOOT}/SecureBootDatabases/{name}" for name in _names()]),
        Name="UEFI SecureBoot Database Collection",
    )


@routes.get("/Systems/DGX/SecureBoot/SecureBootDatabases/{id}")
def database(bmc: RedfishBmc, id: str) -> Body | None:
    if id not in _names():
        return None
    path = f"{SECURE_BOOT}/SecureBootDatabases/{id}"
    return ami(
        path,
        "SecureBootDatabase.v1_0_0.SecureBootDatabase",
        Certificates=link(f"{path}/Certificates"),
        DatabaseId=id,
        Id=id,
        Name=f"{id} - SecureBoot Database",
    )


@routes.get("/Systems/DGX/SecureBoot/SecureBootDatabases/{id}/Certificates")
def certificates(bmc: RedfishBmc, id: str) -> Body | None:
    if id not in _names():
        return None
    path = f"{SECURE_BOOT}/SecureBootDatabases/{id}/Certificates"
    there = id.endswith("Default") or bmc.state.secure_boot.keys != "deleted"
    return ami(
        path,
        "CertificateCollection.CertificateCollection",
        **members([f"{path}/1"] if there else []),
        Name="Certificates Collection",
    )


@routes.get("/Systems/DGX/SecureBoot/SecureBootDatabases/{id}/Certificates/{number}")
def certificate(bmc: RedfishBmc, id: str, number: str) -> Body | None:
    keys = "factory" if id.endswith("Default") else bmc.state.secure_boot.keys
    if id not in _names() or number != "1" or keys == "deleted":
        return None
    content = hashlib.sha256(f"{keys} {id.removesuffix('Default')}".encode()).hexdigest()
    return ami(
        f"{SECURE_BOOT}/SecureBootDatabases/{id}/Certificates/1",
        "Certificate.v1_2_1.Certificate",
        CertificateString=f"-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n",
        CertificateType="PEM",
        Id="1",
        Name="Certificate",
    )
