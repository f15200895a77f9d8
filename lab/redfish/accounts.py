"""Who may log in: SessionService and AccountService."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.bmc import (
    LOCKOUT_SECONDS,
    LOCKOUT_THRESHOLD,
    MAX_ACCOUNTS,
    MAX_PASSWORD,
    MIN_PASSWORD,
    Account,
    AccountRules,
    check_password,
)
from lab.redfish.errors import RedfishError
from lab.redfish.routes import AMI_OK, ROOT, Answer, Body, Call, ami, link, members, routes
from lab.redfish.sessions import Session, TooManySessions

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc

ROLES = {
    "Administrator": ["ConfigureComponents", "Login", "ConfigureUsers", "ConfigureManager", "ConfigureSelf"],
    "Operator": ["ConfigureComponents", "Login", "ConfigureSelf"],
    "ReadOnly": ["Login", "ConfigureSelf"],
}
WRITABLE = ("Password", "RoleId", "UserName", "Enabled", "Locked")
MIN_TIMEOUT_S, MAX_TIMEOUT_S = 30, 86400  # DSP0268, SessionService.SessionTimeout


# --- sessions


@routes.get("/SessionService")
def session_service(bmc: RedfishBmc) -> Body:
    return ami(
        "/SessionService",
        "SessionService.v1_1_6.SessionService",
        Description="Session Service",
        Id="SessionService",
        Name="Session Service",
        ServiceEnabled=True,
        SessionTimeout=round(bmc.sessions.timeout_s),
        Sessions=link("/SessionService/Sessions"),
        Status=dict(AMI_OK),
    )


@routes.patch("/SessionService")
async def change_session_service(call: Call) -> Answer:
    for name in call.body:
        if name != "SessionTimeout":
            raise RedfishError("PropertyNotWritable", name)
    wanted = call.body.get("SessionTimeout")
    if type(wanted) is not int:
        raise RedfishError("PropertyValueTypeError", str(wanted), "SessionTimeout")
    if not MIN_TIMEOUT_S <= wanted <= MAX_TIMEOUT_S:
        raise RedfishError("PropertyValueFormatError", str(wanted), "SessionTimeout")
    call.bmc.sessions.timeout_s = wanted
    return Answer()


@routes.get("/SessionService/Sessions")
def sessions(bmc: RedfishBmc) -> Body:
    return ami(
        "/SessionService/Sessions",
        "SessionCollection.SessionCollection",
        Description="Collection of Sessions",
        **members([f"/SessionService/Sessions/{session.id}" for session in bmc.sessions.list()]),
        Name="Session Collection",
    )


def _session(session: Session) -> Body:
    return ami(
        f"/SessionService/Sessions/{session.id}",
        "Session.v1_2_1.Session",
        Description=f"Session for user {session.account.username}",
        Id=session.id,
        Name=f"{session.account.username} Session",
        UserName=session.account.username,
    )


@routes.get("/SessionService/Sessions/{id}")
def session(bmc: RedfishBmc, id: str) -> Body | None:
    found = next((session for session in bmc.sessions.list() if session.id == id), None)
    return _session(found) if found else None


@routes.post("/SessionService/Sessions")
async def log_in(call: Call) -> Answer:
    username, password = call.body.get("UserName"), call.body.get("Password")
    for name, value in (("UserName", username), ("Password", password)):
        if value is None:
            raise RedfishError("PropertyMissing", name)
        if not isinstance(value, str):
            raise RedfishError("PropertyValueTypeError", "********", name)
    account = call.bmc.state.accounts.check(str(username), str(password))
    if account is None:
        raise RedfishError("NoValidSession")
    try:
        session = call.bmc.sessions.open(account)
    except TooManySessions:
        raise call.bmc.vendor.session_limit() from None
    body = _session(session)
    if account.must_change:
        own = call.bmc.vendor.account_path(account)
        body["@Message.ExtendedInfo"] = RedfishError("PasswordChangeRequired", own).body()["error"][
            "@Message.ExtendedInfo"
        ]
    return Answer(201, body, {"X-Auth-Token": session.token, "Location": body["@odata.id"]})


@routes.delete("/SessionService/Sessions/{id}")
async def log_out(call: Call, id: str) -> Answer:
    if not call.bmc.sessions.close(id):
        raise RedfishError("ResourceMissingAtURI", call.path)
    return Answer()


# --- accounts


@routes.get("/AccountService")
def account_service(bmc: RedfishBmc) -> Body:
    return ami(
        "/AccountService",
        "AccountService.v1_8_0.AccountService",
        AccountLockoutCounterResetAfter=round(LOCKOUT_SECONDS),
        AccountLockoutCounterResetEnabled=True,
        AccountLockoutDuration=round(LOCKOUT_SECONDS),
        AccountLockoutThreshold=LOCKOUT_THRESHOLD,
        Accounts=link("/AccountService/Accounts"),
        AuthFailureLoggingThreshold=3,
        Description="Redfish User Accounts",
        Id="AccountService",
        LocalAccountAuth="LocalFirst",
        MaxPasswordLength=MAX_PASSWORD,
        MinPasswordLength=MIN_PASSWORD,
        Name="Account Service",
        Roles=link("/AccountService/Roles"),
        ServiceEnabled=True,
        Status=dict(AMI_OK),
    )


@routes.get("/AccountService/Roles")
def roles(bmc: RedfishBmc) -> Body:
    return ami(
        "/AccountService/Roles",
        "RoleCollection.RoleCollection",
        Description="Details of Roles Available",
        **members([f"/AccountService/Roles/{name}" for name in ROLES]),
        Name="Roles Collection",
    )


@routes.get("/AccountService/Roles/{id}")
def role(bmc: RedfishBmc, id: str) -> Body | None:
    if id not in ROLES:
        return None
    return ami(
        f"/AccountService/Roles/{id}",
        "Role.v1_3_0.Role",
        AssignedPrivileges=ROLES[id],
        Description=f"{id} User Role",
        Id=id,
        IsPredefined=True,
        Name="User Role",
        RoleId=id,
    )


@routes.get("/AccountService/Accounts")
def accounts(bmc: RedfishBmc) -> Body:
    return ami(
        "/AccountService/Accounts",
        "ManagerAccountCollection.ManagerAccountCollection",
        Description="Collection for Manager Accounts",
        **members([f"/AccountService/Accounts/{id}" for id in bmc.state.accounts.by_id]),
        Name="Accounts Collection",
    )


def _account(bmc: RedfishBmc, account: Account) -> Body:
    return ami(
        f"/AccountService/Accounts/{account.id}",
        "ManagerAccount.v1_5_0.ManagerAccount",
        AccountTypes=["Redfish"],
        Description="User Account sync from IPMI",
        Enabled=account.enabled,
        Id=account.id,
        Links={"Role": link(f"/AccountService/Roles/{account.role}")},
        Locked=bmc.state.accounts.locked(account),
        Name=account.username,
        Password=None,
        PasswordChangeRequired=account.must_change,
        RoleId=account.role,
        UserName=account.username,
    )


@routes.get("/AccountService/Accounts/{id}")
def account(bmc: RedfishBmc, id: str) -> Body | None:
    found = bmc.state.accounts.by_id.get(id)
    return _account(bmc, found) if found else None


@routes.post("/AccountService/Accounts")
async def create_account(call: Call) -> Answer:
    for name in ("UserName", "Password", "RoleId"):
        if not isinstance(call.body.get(name), str):
            raise RedfishError("PropertyMissing", name)
    username, password, role = call.body["UserName"], call.body["Password"], call.body["RoleId"]
    if role not in ROLES:
        raise RedfishError("PropertyValueNotInList", role, "RoleId")
    if call.bmc.state.accounts.find(username):
        raise RedfishError("ResourceAlreadyExists", "ManagerAccount", "UserName", username)
    expect_password(password)
    if len(call.bmc.state.accounts.by_id) >= MAX_ACCOUNTS:
        raise RedfishError("CreateLimitReachedForResource")
    created = call.bmc.state.accounts.add(username, password, role)
    return Answer(201, _account(call.bmc, created), {"Location": f"{ROOT}/AccountService/Accounts/{created.id}"})


@routes.patch("/AccountService/Accounts/{id}")
async def change_account(call: Call, id: str) -> Answer:
    return change(call, call.bmc.state.accounts.by_id[id])


@routes.delete("/AccountService/Accounts/{id}")
async def delete_account(call: Call, id: str) -> Answer:
    return remove(call, call.bmc.state.accounts.by_id[id])


def change(
    call: Call, found: Account, rules: AccountRules | None = None, writable: tuple[str, ...] = WRITABLE
) -> Answer:
    """Password, role, name, enabled, unlock. A new password ends the account's sessions but the caller's."""
    body = call.body
    for name in body:
        if name not in writable:
            raise RedfishError("PropertyNotWritable", name)
    if "RoleId" in body and body["RoleId"] not in ROLES:
        raise RedfishError("PropertyValueNotInList", str(body["RoleId"]), "RoleId")
    for name in ("Enabled", "Locked"):
        if name in body and not isinstance(body[name], bool):
            raise RedfishError("PropertyValueTypeError", str(body[name]), name)
    if "Password" in body:
        expect_password(body["Password"], rules)
    owner = call.account is found
    if owner and found.role != "Administrator" and set(body) != {"Password"}:
        raise RedfishError("InsufficientPrivilege")
    if "Password" in body:
        found.password, found.must_change = body["Password"], False
    found.role = body.get("RoleId", found.role)
    found.username = body.get("UserName", found.username)
    found.enabled = body.get("Enabled", found.enabled)
    if body.get("Locked") is False:
        found.locked_until, found.failures = 0.0, 0
    if ("Password" in body and not owner) or not found.enabled:
        call.bmc.sessions.close_of(found)
    return Answer()


def remove(call: Call, found: Account) -> Answer:
    """The last administrator stays."""
    accounts = call.bmc.state.accounts.by_id
    if [a for a in accounts.values() if a.role == "Administrator" and a.enabled] == [found]:
        raise RedfishError("ActionNotSupported", "DELETE")
    call.bmc.sessions.close_of(found)
    del accounts[found.id]
    return Answer()


def expect_password(password: object, rules: AccountRules | None = None) -> None:
    """Raises RedfishError for what a BMC with these rules (None: a DGX H100) does not take."""
    if not isinstance(password, str):
        raise RedfishError("PropertyValueTypeError", "********", "Password")
    try:
        check_password(password, rules)
    except ValueError:
        raise RedfishError("PropertyValueFormatError", "********", "Password") from None
