"""Accounts by the specification: their collection makes and deletes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.bmc import AccountRules
from lab.redfish.accounts import ROLES, WRITABLE, change, expect_password, remove
from lab.redfish.errors import RedfishError
from lab.redfish.routes import ROOT, Answer, Body, Call, link
from lab.redfish.vendors.translated import Translated

if TYPE_CHECKING:
    from lab.bmc import Account
    from lab.redfish.service import RedfishBmc


class StandardAccounts(Translated):
    rules = AccountRules(threshold=0, lockout_s=0, min_password=8, max_password=64, slots=16, first_id=1)
    account_type = "ManagerAccount.v1_10_0.ManagerAccount"
    account_service_type = "AccountService.v1_13_0.AccountService"
    account_types: tuple[str, ...] | None = ("Redfish",)

    def register_accounts(self) -> None:
        at = self.routes
        at.get("/AccountService")(self.account_service)
        at.get("/AccountService/Accounts")(self.accounts)
        at.get("/AccountService/Accounts/{id}")(self.account)
        at.post("/AccountService/Accounts")(self.create_account)
        at.patch("/AccountService/Accounts/{id}")(self.change_account)
        at.delete("/AccountService/Accounts/{id}")(self.delete_account)

    def account_service(self, bmc: RedfishBmc) -> Body:
        rules = self.rules
        return self.body(
            "/AccountService",
            self.account_service_type,
            AccountLockoutCounterResetAfter=round(rules.lockout_s),
            AccountLockoutDuration=round(rules.lockout_s),
            AccountLockoutThreshold=rules.threshold,
            Accounts=link("/AccountService/Accounts"),
            Id="AccountService",
            MaxPasswordLength=rules.max_password,
            MinPasswordLength=rules.min_password,
            Name="Account Service",
            Roles=link("/AccountService/Roles"),
            ServiceEnabled=True,
            Status={"Health": "OK", "State": "Enabled"},
        )

    def account_of(self, bmc: RedfishBmc, id: str) -> Account | None:
        accounts = bmc.state.accounts.by_id.values()
        return next((account for account in accounts if self.account_path(account).endswith(f"/{id}")), None)

    def accounts(self, bmc: RedfishBmc) -> Body:
        accounts = bmc.state.accounts.by_id.values()
        paths = [self.account_path(account).removeprefix(ROOT) for account in accounts]
        return self.collection("/AccountService/Accounts", "ManagerAccount", paths)

    def account(self, bmc: RedfishBmc, id: str) -> Body | None:
        found = self.account_of(bmc, id)
        return self.account_body(bmc, found) if found else None

    def account_body(self, bmc: RedfishBmc, account: Account) -> Body:
        path = self.account_path(account).removeprefix(ROOT)
        body = self.body(
            path,
            self.account_type,
            Enabled=account.enabled,
            Id=path.rsplit("/", 1)[-1],
            Links={"Role": link(f"/AccountService/Roles/{account.role}")},
            Locked=bmc.state.accounts.locked(account),
            Name="User Account",
            Password=None,
            PasswordChangeRequired=account.must_change,
            RoleId=account.role,
            UserName=account.username,
        )
        if self.account_types:
            body["AccountTypes"] = list(self.account_types)
        return body

    async def create_account(self, call: Call) -> Answer:
        for name in ("UserName", "Password", "RoleId"):
            if not isinstance(call.body.get(name), str):
                raise RedfishError("PropertyMissing", name)
        username, password, role = call.body["UserName"], call.body["Password"], call.body["RoleId"]
        accounts = call.bmc.state.accounts
        if role not in ROLES:
            raise RedfishError("PropertyValueNotInList", role, "RoleId")
        if accounts.find(username):
            raise RedfishError("ResourceAlreadyExists", "ManagerAccount", "UserName", username)
        expect_password(password, self.rules)
        if len(accounts.by_id) >= self.rules.slots:
            raise RedfishError("CreateLimitReachedForResource")
        made = accounts.add(username, password, role)
        return Answer(201, self.account_body(call.bmc, made), {"Location": self.account_path(made)})

    account_writable: tuple[str, ...] = WRITABLE

    async def change_account(self, call: Call, id: str) -> Answer:
        found = self.account_of(call.bmc, id)
        if found is None:
            raise RedfishError("ResourceMissingAtURI", call.path)
        return change(call, found, self.rules, self.account_writable)

    async def delete_account(self, call: Call, id: str) -> Answer:
        found = self.account_of(call.bmc, id)
        if found is None:
            raise RedfishError("ResourceMissingAtURI", call.path)
        return remove(call, found)
