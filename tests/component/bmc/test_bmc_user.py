"""Accounts: against the lab over both protocols, and as conversations with BMCs that do it their own way."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_user as user
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    BadAnswer,
    InvalidInput,
)

from lab.config import VENDORS

ACCOUNTS = "/redfish/v1/AccountService/Accounts"
NEW = "Another-Secret.16"


def ask(bmc: Any, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    defaults = {"state": "present", "update_password": "always", "rotate": False}
    return user.run(bmc.params(**{**defaults, **options}), check_mode)


def patches(bmc: Any) -> list[tuple[str, Any, str | None]]:
    return [(a.path, a.body, a.headers.get("If-Match")) for a in bmc.asked if a.method == "PATCH"]


# -- against the lab, over Redfish


def test_an_account_is_planned_made_and_then_already_there(lab_bmc: Any) -> None:
    wanted = {"username": "monitoring", "password": NEW, "role": "readonly"}
    planned = ask(lab_bmc, check_mode=True, **wanted)
    assert planned["changed"] and not lab_bmc.writes()
    made = ask(lab_bmc, **wanted)
    assert made["changed"] and made["diff"] == planned["diff"]
    assert (made["user"]["username"], made["user"]["role"], made["user"]["enabled"]) == ("monitoring", "readonly", True)
    again = ask(lab_bmc, **wanted)
    assert not again["changed"] and again["diff"]["before"] == again["diff"]["after"]
    assert lab_bmc.machine.bmc.accounts.check("monitoring", NEW) is not None
    assert lab_bmc.sessions() == 0
    assert NEW not in repr(made)


def test_another_role_and_another_password_are_set_and_seen(lab_bmc: Any) -> None:
    ask(lab_bmc, username="monitoring", password=NEW, role="readonly")
    assert ask(lab_bmc, username="monitoring", role="operator")["user"]["role"] == "operator"
    changed = ask(lab_bmc, username="monitoring", password="Yet-Another.16")
    assert changed["changed"] and changed["password_changed"]
    assert lab_bmc.machine.bmc.accounts.check("monitoring", "Yet-Another.16")
    kept = ask(lab_bmc, username="monitoring", password="Ignored-Secret.1", update_password="on_create")
    assert not kept["changed"]


def test_an_account_is_removed_and_none_removes_itself(lab_bmc: Any) -> None:
    ask(lab_bmc, username="former", password=NEW)
    assert ask(lab_bmc, check_mode=True, username="former", state="absent")["changed"]
    gone = ask(lab_bmc, username="former", state="absent")
    assert gone["changed"] and gone["user"] is None and gone["diff"]["after"] == {"state": "absent"}
    assert not ask(lab_bmc, username="former", state="absent")["changed"]
    with pytest.raises(InvalidInput) as caught:
        ask(lab_bmc, username=lab_bmc.machine.config.bmc_username, state="absent")
    assert caught.value.code == "own_account"


@pytest.mark.parametrize("password", ["short", "x" * 21, "sixteen-letters\u00e4", "tab\tulator-tab\tulator"])
def test_a_password_that_the_bmc_would_refuse_is_never_sent(lab_bmc: Any, password: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        ask(lab_bmc, username="monitoring", password=password)
    assert caught.value.code == "password_not_allowed" and password not in str(caught.value)
    assert not lab_bmc.writes()


def test_a_new_account_needs_a_password(lab_bmc: Any) -> None:
    with pytest.raises(InvalidInput, match="needs a password"):
        ask(lab_bmc, username="monitoring")


def test_rotating_ones_own_password_ends_the_old_sessions_and_a_rerun_finds_it_done(lab_bmc: Any) -> None:
    own = lab_bmc.machine.config.bmc_username
    accounts = lab_bmc.machine.bmc.accounts
    old_session = lab_bmc._loop.call(lambda: lab_bmc.bmc.sessions.open(accounts.find(own)))
    done = ask(lab_bmc, username=own, password=NEW, rotate=True)
    assert done["changed"] and done["password_changed"] and done["sessions_ended"] >= 1
    assert accounts.check(own, NEW)
    assert lab_bmc._loop.call(lambda: lab_bmc.bmc.sessions.use(old_session.token)) is None
    # the options still hold the old password: a run that broke off after the BMC had the new one
    again = ask(lab_bmc, username=own, password=NEW, rotate=True)
    assert not again["changed"] and not again["password_changed"]
    assert accounts.find(own).failures == 0, "the right password has wiped out the one wrong try"


def test_when_neither_password_fits_one_try_is_made_with_each(lab_bmc: Any) -> None:
    own = lab_bmc.machine.config.bmc_username
    with pytest.raises(AuthenticationError, match="neither the present nor the new"):
        ask(lab_bmc, username=own, password=NEW, rotate=True, bmc_password="wrong-wrong-wrong")
    assert lab_bmc.machine.bmc.accounts.find(own).failures == 2


def test_without_rotate_a_refused_login_is_one_try_and_no_guess(lab_bmc: Any) -> None:
    own = lab_bmc.machine.config.bmc_username
    with pytest.raises(AuthenticationError):
        ask(lab_bmc, username=own, password=NEW, bmc_password="wrong-wrong-wrong")
    assert lab_bmc.machine.bmc.accounts.find(own).failures == 1


# -- over IPMI


def test_ipmi_makes_changes_and_removes_an_account(ipmi_bmc: Any) -> None:
    wanted = {"username": "monitoring", "password": NEW, "role": "readonly"}
    planned = ask(ipmi_bmc, check_mode=True, **wanted)
    made = ask(ipmi_bmc, **wanted)
    assert made["changed"] and made["diff"] == planned["diff"] and made["user"]["role"] == "readonly"
    assert not ask(ipmi_bmc, **wanted)["changed"]
    account = ipmi_bmc.machine.bmc.accounts.find("monitoring")
    assert account.password == NEW and account.failures == 0, "IPMI compares without a login"
    assert ask(ipmi_bmc, username="monitoring", password="Yet-Another.16")["password_changed"]
    assert ask(ipmi_bmc, username="monitoring", state="absent")["changed"]
    assert ipmi_bmc.machine.bmc.accounts.find("monitoring") is None


def test_ipmi_rotates_ones_own_password_and_a_rerun_finds_it_done(ipmi_bmc: Any) -> None:
    own = ipmi_bmc.machine.config.bmc_username
    assert ask(ipmi_bmc, username=own, password="Twenty-Characters.20", rotate=True)["password_changed"]
    assert ipmi_bmc.machine.bmc.accounts.find(own).password == "Twenty-Characters.20"
    assert not ask(ipmi_bmc, username=own, password="Twenty-Characters.20", rotate=True)["changed"]


def test_ipmi_takes_20_characters_and_names_of_16(ipmi_bmc: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        ask(ipmi_bmc, username="monitoring", password="x" * 21)
    assert caught.value.code == "password_not_allowed"
    with pytest.raises(InvalidInput):
        ask(ipmi_bmc, username="a-name-of-seventeen", password=NEW)


# -- vendors' ways, as conversations


class Site:
    """Accounts that change with what is written, for a replay."""

    def __init__(self, root: dict[str, Any], members: dict[str, dict[str, Any]], **service: Any) -> None:
        self.tree: dict[str, Any] = {
            "/redfish/v1": {"Id": "RootService", "Links": {}, **root},
            "/redfish/v1/Systems": {"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]},
            "/redfish/v1/Systems/1": {"Id": "1", "PowerState": "On", "Model": root.pop("model", "")},
            "/redfish/v1/AccountService": {"Accounts": {"@odata.id": ACCOUNTS}, **service},
            "/redfish/v1/SessionService/Sessions": {"Members": []},
        }
        self.members = members
        self.passwords = {"admin": "correct horse"}

    def get(self, path: str) -> Any:
        path = path.rstrip("/")
        if path == ACCOUNTS:
            return {"Members": [{"@odata.id": f"{ACCOUNTS}/{id}"} for id in self.members]}
        if path.startswith(f"{ACCOUNTS}/"):
            return self.members.get(path.rsplit("/", 1)[1])
        return self.tree.get(path)

    def respond(self, asked: Any) -> Any:
        from replay import SESSIONS, Reply, error

        if asked.method == "POST" and asked.path == SESSIONS:
            if self.passwords.get(asked.body["UserName"]) != asked.body["Password"]:
                return Reply(401, error("Base.1.12.NoValidSession", "Wrong."))
            asked.body.update(UserName="admin", Password="correct horse")  # whom the replay itself knows
            return None
        if not asked.path.startswith(ACCOUNTS):
            return None
        id = asked.path.rsplit("/", 1)[1]
        if asked.method == "PATCH" and id in self.members:
            body = dict(asked.body)
            if "Password" in body:
                self.passwords[body.get("UserName") or self.members[id]["UserName"]] = body.pop("Password")
            self.members[id].update(body)
            return Reply(200, {})
        if (
            asked.method == "POST"
            and asked.path == ACCOUNTS
            and not any(m["UserName"] == "" for m in self.members.values())
        ):
            body = dict(asked.body)
            self.passwords[body["UserName"]] = body.pop("Password")
            self.members[str(len(self.members) + 1)] = body
            return Reply(201, {})
        if (
            asked.method == "DELETE"
            and id in self.members
            and not any(m["UserName"] == "" for m in self.members.values())
        ):
            del self.members[id]
            return Reply(204)
        return None


def slots(count: int) -> dict[str, dict[str, Any]]:
    used = {"2": ("root", True, "Administrator")}
    return {
        str(n): dict(zip(("UserName", "Enabled", "RoleId"), used.get(str(n), ("", False, "None")), strict=True))
        for n in range(1, count + 1)
    }


def test_an_idrac_gets_an_account_in_its_third_slot_and_a_removed_one_is_disabled_and_blanked(
    start_replay: Any,
) -> None:
    site = Site({"Vendor": "Dell"}, slots(16), MinPasswordLength=0, MaxPasswordLength=127, AccountLockoutThreshold=0)
    bmc = start_replay(site, site.respond)
    made = ask(bmc, username="monitoring", password=NEW, role="operator")
    assert made["changed"] and made["user"]["id"] == "3"
    body = {"UserName": "monitoring", "Password": NEW, "RoleId": "Operator", "Enabled": True}
    assert [(path, sent) for path, sent, _ in patches(bmc)] == [(f"{ACCOUNTS}/3", body)]
    assert ask(bmc, username="monitoring", state="absent")["changed"]
    assert patches(bmc)[-1][1] == {"Enabled": False, "UserName": ""}
    assert not [a for a in bmc.asked if a.method in ("POST", "DELETE") and a.path.startswith(ACCOUNTS)]


def test_slots_that_nobody_told_us_of_are_found_when_a_post_is_refused(start_replay: Any) -> None:
    site = Site({"Vendor": "Somebody"}, slots(4))
    bmc = start_replay(site, site.respond)
    assert ask(bmc, username="monitoring", password=NEW)["user"]["id"] == "1"
    assert ask(bmc, username="monitoring", state="absent")["changed"]
    assert site.members["1"]["UserName"] == ""


def test_a_dgx_wants_if_match_star_for_its_accounts(start_replay: Any) -> None:
    member = {"@odata.etag": '"946684846"', "UserName": "operators", "Enabled": True, "RoleId": "Operator"}
    site = Site({"Vendor": "AMI", "model": "DGXH100"}, {"1": member})
    bmc = start_replay(site, site.respond)
    ask(bmc, username="operators", role="readonly")
    assert patches(bmc) == [(f"{ACCOUNTS}/1", {"RoleId": "ReadOnly"}, "*")]


def test_an_ilo_says_neither_enabled_nor_a_longest_password(start_replay: Any) -> None:
    site = Site({"Vendor": "HPE"}, {"1": {"UserName": "admin", "RoleId": "Administrator"}}, MinPasswordLength=8)
    bmc = start_replay(site, site.respond)
    assert ask(bmc, username="monitoring", password=NEW)["changed"]
    sent = [a.body for a in bmc.asked if a.method == "POST" and a.path == ACCOUNTS]
    assert sent == [{"UserName": "monitoring", "Password": NEW, "RoleId": "Administrator"}]
    assert ask(bmc, username="admin")["user"]["enabled"] is None
    with pytest.raises(InvalidInput, match="length"):
        ask(bmc, username="monitoring", password="seven77")


def test_a_login_that_an_ilo_refuses_with_400_is_a_refused_login(start_replay: Any) -> None:
    from replay import SESSIONS, Reply, error

    def respond(asked: Any) -> Any:
        if asked.path == SESSIONS and asked.body:
            return Reply(400, error("iLO.2.14.UnauthorizedLoginAttempt", "The login was not successful."))
        return None

    bmc = start_replay({}, respond)
    with pytest.raises(AuthenticationError) as caught:
        ask(bmc, username="monitoring", password=NEW)
    assert caught.value.code == "authentication_failed"


def test_a_forced_first_change_is_made_and_then_the_work_goes_on(start_replay: Any) -> None:
    from replay import SESSIONS, Reply, error

    site = Site({"Vendor": "OpenBMC"}, {"root": {"UserName": "admin", "Enabled": True, "RoleId": "Administrator"}})

    def respond(asked: Any) -> Any:
        if site.passwords["admin"] == "correct horse" and asked.method != "PATCH":
            refusal = error("Base.1.12.PasswordChangeRequired", "The password must be changed.")
            refusal["error"]["@Message.ExtendedInfo"][0]["MessageArgs"] = [f"{ACCOUNTS}/root"]
            return Reply(403, refusal)
        if asked.method == "PATCH":
            assert asked.headers["Authorization"].startswith("Basic ")
        if asked.path == SESSIONS and asked.body is None:
            return None
        return site.respond(asked)

    bmc = start_replay(site, respond)
    assert ask(bmc, check_mode=True, username="admin", password=NEW)["password_changed"]
    assert not patches(bmc)
    done = ask(bmc, username="admin", password=NEW)
    assert done["changed"] and done["password_changed"]
    assert patches(bmc) == [(f"{ACCOUNTS}/root", {"Password": NEW}, "*")]


def test_a_password_that_was_accepted_and_does_not_open_the_bmc_is_reported(start_replay: Any) -> None:
    site = Site({}, {"1": {"UserName": "admin", "Enabled": True, "RoleId": "Administrator"}}, AccountLockoutThreshold=2)

    def respond(asked: Any) -> Any:
        from replay import Reply

        return Reply(200, {}) if asked.method == "PATCH" else site.respond(asked)

    bmc = start_replay(site, respond)
    with pytest.raises(BadAnswer) as caught:
        ask(bmc, username="admin", password=NEW, rotate=True)
    assert caught.value.code == "not_applied" and "old one may still be in force" in str(caught.value)
    refused = [a for a in bmc.asked if a.method == "POST" and a.body.get("Password") == NEW]
    assert len(refused) == 1, "the lockout comes with the second wrong password"


def test_the_captures_show_their_accounts_and_limits(
    start_replay: Any, dgx_capture: Any, hpe_capture: Any, dell_capture: Any
) -> None:
    for capture, name, limits in (
        (dgx_capture, "admin", "13 to 20"),
        (hpe_capture, "root", "at least 8"),
        (dell_capture, "root", "to 127"),
    ):
        bmc = start_replay(capture)
        found = ask(bmc, username=name)
        assert not found["changed"] and found["user"]["role"] == "administrator"
        if limits.startswith("13"):
            with pytest.raises(InvalidInput, match=limits):
                ask(bmc, check_mode=True, username="somebody", password="twelve-chars")
        assert ask(bmc, check_mode=True, username="somebody", password=NEW)["changed"]
        assert not patches(bmc)


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_of_the_lab_makes_rotates_and_removes(start_lab: Any, vendor: str) -> None:
    bmc = start_lab(vendor)
    own, accounts = bmc.machine.config.bmc_username, bmc.machine.bmc.accounts
    wanted = {"username": "monitoring", "password": NEW, "role": "readonly"}
    planned = ask(bmc, check_mode=True, **wanted)
    made = ask(bmc, **wanted)
    assert made["changed"] and made["diff"] == planned["diff"]
    assert accounts.find("monitoring").role == "ReadOnly" and accounts.check("monitoring", NEW)
    assert not ask(bmc, **wanted)["changed"]
    assert ask(bmc, username="monitoring", role="operator")["user"]["role"] == "operator"
    assert ask(bmc, username="monitoring", state="absent")["changed"]
    assert accounts.check("monitoring", NEW) is None
    assert not ask(bmc, username="monitoring", state="absent")["changed"]
    assert ask(bmc, username=own, password=NEW, rotate=True)["password_changed"]
    assert accounts.check(own, NEW)
    assert not ask(bmc, username=own, password=NEW, rotate=True)["changed"]
