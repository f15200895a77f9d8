"""The first login, as a conversation with a BMC that keeps accounts, locks them, and may demand a change first."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_bootstrap
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.accounts import RedfishAccounts
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import PaleBlueDotError

SESSIONS = "/redfish/v1/SessionService/Sessions"
ACCOUNTS = "/redfish/v1/AccountService/Accounts"


class AccountsBmc:
    """What an AMI or OpenBMC does with accounts, as a responder of the replay server.

    ``must_change``: the account that has to get a new password first; ``session_first``: whether it gets a session
    before (OpenBMC) or a 403 at once. ``writes`` are what changed it, ``wrong`` the refused logins.
    """

    def __init__(self, accounts: dict[str, str], *, threshold: int = 3, **root: Any) -> None:
        self.accounts = {str(number): [name, word] for number, (name, word) in enumerate(accounts.items(), 1)}
        self.root = {"@odata.id": "/redfish/v1", "RedfishVersion": "1.11.0", "UUID": "u-1", **root}
        self.must_change: str | None = None
        self.session_first = True
        self.names_account = True
        self.refuses_passwords = False
        self.loses_answers = False
        self.deaf = 0  # logins with the right password that are refused yet
        self.threshold = threshold
        self.wrong: list[str] = []
        self.writes: list[str] = []
        self.sessions: dict[str, str] = {}
        self.ended: list[str] = []
        self.serial_number = "A1"

    def __call__(self, asked: Any) -> Any:
        from replay import Reply, error

        path = asked.path.split("?")[0].rstrip("/")
        if path == "/redfish/v1":
            return Reply(200, self.root)
        if asked.method == "POST" and path == SESSIONS:
            return self._log_in(asked.body["UserName"], asked.body["Password"])
        name = self._who(asked)
        if name is None:
            return Reply(401, error("Base.1.12.NoValidSession", "There is no valid session."))
        if asked.method == "DELETE" and path.startswith(SESSIONS):
            self.ended.append(path)
            return Reply(204)
        if name == self.must_change and not (asked.method == "PATCH" and path.startswith(ACCOUNTS)):
            return self._change_first(name)
        return self._serve(asked.method, path, asked.body, name)

    def _log_in(self, name: str, word: str) -> Any:
        from replay import Reply, error

        if not self._right(name, word):
            return Reply(401, error("Base.1.12.NoValidSession", "Wrong."))
        if name == self.must_change and not self.session_first:
            return self._change_first(name)
        token = f"token-{len(self.sessions)}"
        self.sessions[token] = name
        uri = f"{SESSIONS}/{token}"
        body: dict[str, Any] = {"@odata.id": uri}
        if name == self.must_change:
            body["@Message.ExtendedInfo"] = self._change_first(name).body["error"]["@Message.ExtendedInfo"]
        return Reply(201, body, {"X-Auth-Token": token, "Location": uri})

    def _right(self, name: str, word: str) -> bool:
        right = [name, word] in self.accounts.values()
        if right and self.deaf:
            self.deaf -= 1
            right = False
        if not right:
            self.wrong.append(name)
        return right and len(self.wrong) < self.threshold

    def _who(self, asked: Any) -> str | None:
        header = asked.headers.get("Authorization", "")
        if header.startswith("Basic "):
            name, _colon, word = base64.b64decode(header[6:]).decode().partition(":")
            return name if self._right(name, word) else None
        return self.sessions.get(asked.headers.get("X-Auth-Token", ""))

    def _change_first(self, name: str) -> Any:
        from replay import Reply, error

        answer = error("Base.1.12.PasswordChangeRequired", "Change the password first.")
        if self.names_account:
            (info,) = answer["error"]["@Message.ExtendedInfo"]
            info["MessageArgs"] = [f"{ACCOUNTS}/{self._id(name)}"]
        return Reply(403, answer)

    def _id(self, name: str) -> str:
        return next(id for id, (known, _word) in self.accounts.items() if known == name)

    def _serve(self, method: str, path: str, body: Any, name: str) -> Any:
        from replay import Reply, error

        if method == "GET":
            found = self._resource(path)
            return Reply(200, found) if found else Reply(404, error("Base.1.12.ResourceMissingAtURI", "Nothing."))
        if "Password" in body and self.refuses_passwords:
            return Reply(400, error("Base.1.12.PropertyValueFormatError", "The password is too simple."))
        if method == "POST" and path == ACCOUNTS:
            self.accounts[str(len(self.accounts) + 1)] = [body["UserName"], body["Password"]]
            self.writes.append(f"made {body['UserName']} {body['RoleId']}")
            return Reply(0 if self.loses_answers else 201, {})
        if method == "PATCH" and path.startswith(ACCOUNTS):
            account = self.accounts[path.rpartition("/")[2]]
            account[1] = body.get("Password", account[1])
            self.writes.append(f"changed {account[0]}")
            if account[0] == self.must_change:
                self.must_change = None
            return Reply(0 if self.loses_answers else 204)
        return Reply(405, error("Base.1.12.OperationNotAllowed", "No."))

    def _resource(self, path: str) -> dict[str, Any] | None:
        tree: dict[str, dict[str, Any]] = {
            "/redfish/v1/Systems": {"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]},
            "/redfish/v1/Systems/1": {"Id": "1", "SerialNumber": self.serial_number, "PowerState": "On"},
            "/redfish/v1/AccountService": {"MinPasswordLength": 8, "Accounts": {"@odata.id": ACCOUNTS}},
            ACCOUNTS: {"Members": [{"@odata.id": f"{ACCOUNTS}/{id}"} for id in self.accounts]},
            **{
                f"{ACCOUNTS}/{id}": {"Id": id, "UserName": name, "RoleId": "Administrator", "Enabled": True}
                for id, (name, _word) in self.accounts.items()
            },
        }
        return tree.get(path)

    def word(self, name: str) -> str:
        return self.accounts[self._id(name)][1]


@pytest.fixture
def bootstrap(start_replay: Any, tmp_path: Path) -> Any:
    """``bootstrap(bmc, **options)``: the module against that BMC, with a file as its record."""
    ports: dict[int, Any] = {}

    def run(bmc: AccountsBmc, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        served = ports.get(id(bmc)) or ports.setdefault(id(bmc), start_replay({}, bmc))
        run.requests = served.requests  # type: ignore[attr-defined]
        params = {
            "server": None,
            "credential_file": str(tmp_path / "bmc.json"),
            "credentials": [],
            "factory_defaults": True,
            "serial_number": None,
            "mac": None,
            "profile": None,
            "account": "palebluedot",
            "take_over": False,
            "new_password": None,
            "close_factory": True,
            "wait_timeout": 0,
            "tries_dir": str(tmp_path / "tries"),
            **served.params(bmc_username=None, bmc_password=None, bmc_auth="auto"),
            **options,
        }
        return bmc_bootstrap.run(params, check_mode)

    return run


@pytest.fixture
def kept(tmp_path: Path) -> Any:
    return lambda: json.loads((tmp_path / "bmc.json").read_text())


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bmc_bootstrap, "ACCEPTED_AFTER_S", 0.0)


def entry(username: str, password: str, **selectors: str) -> dict[str, Any]:
    return {"username": username, "password": password, **selectors}


def test_a_factory_account_becomes_ours_and_is_closed(bootstrap: Any, kept: Any, tmp_path: Path) -> None:
    bmc = AccountsBmc({"root": "calvin"}, Vendor="Dell", Oem={"Dell": {"ServiceTag": "7XQ4M92"}})
    bmc.root["Vendor"] = "Supermicro"  # the Dell's slots are the accounts' own test
    bmc.accounts["1"] = ["ADMIN", "ADMIN"]
    answer = bootstrap(bmc)
    assert answer["changed"] and answer["opened_by"] == "factory" and answer["tried"] == ["factory"]
    assert answer["done"] == ["account made", "factory password replaced"]
    assert bmc.writes == ["made palebluedot Administrator", "changed ADMIN"]
    secret = bmc.word("palebluedot")
    assert bmc.word("ADMIN") == secret != "ADMIN"
    assert kept() == {"confirmed": {"username": "palebluedot", "password": secret}, "proposed": None}
    assert stat.S_IMODE((tmp_path / "bmc.json").stat().st_mode) == 0o600
    assert secret not in json.dumps(answer)
    assert bmc.wrong == []
    assert len(bmc.ended) == len(bmc.sessions), "every session was ended"


def test_run_again_it_only_logs_in(bootstrap: Any) -> None:
    bmc = AccountsBmc({"ADMIN": "ADMIN"}, Vendor="Supermicro")
    bootstrap(bmc)
    bmc.writes.clear()
    answer = bootstrap(bmc)
    assert not answer["changed"] and answer["opened_by"] == "recorded" and bmc.writes == [] and bmc.wrong == []


def test_check_mode_says_the_same_and_writes_nothing(bootstrap: Any, tmp_path: Path) -> None:
    bmc = AccountsBmc({"ADMIN": "ADMIN"}, Vendor="Supermicro")
    planned = bootstrap(bmc, check_mode=True)
    assert bmc.writes == [] and not (tmp_path / "bmc.json").exists()
    done = bootstrap(bmc)
    assert planned["changed"] and planned["diff"] == done["diff"]
    assert planned["done"] == done["done"]


@pytest.mark.parametrize("session_first", [True, False], ids=["with a session", "without one"])
@pytest.mark.parametrize("names_account", [True, False], ids=["naming the account", "naming none"])
def test_a_demanded_change_is_answered_with_the_old_password(
    bootstrap: Any, kept: Any, session_first: bool, names_account: bool
) -> None:
    bmc = AccountsBmc({"root": "0penBmc"}, Vendor="OpenBMC")
    bmc.must_change, bmc.session_first, bmc.names_account = "root", session_first, names_account
    if not names_account:
        bmc.must_change = None  # this service lets the account look for itself, and demands the change all the same
        answered = bmc._serve

        def stingy(method: str, path: str, body: Any, name: str) -> Any:
            if "root" not in changed and path.startswith("/redfish/v1/Systems"):
                return bmc._change_first(name)
            if method == "PATCH":
                changed.append("root")
            return answered(method, path, body, name)

        changed: list[str] = []
        bmc._serve = stingy  # type: ignore[method-assign]
    answer = bootstrap(bmc)
    assert answer["done"] == ["password changed, as the BMC demanded", "account made"]
    assert bmc.writes == ["changed root", "made palebluedot Administrator"]
    assert bmc.word("root") == bmc.word("palebluedot") == kept()["confirmed"]["password"]
    assert kept()["confirmed"]["username"] == "palebluedot"
    assert bmc.wrong == []


def test_taking_over_changes_the_account_that_was_found(bootstrap: Any, kept: Any) -> None:
    bmc = AccountsBmc({"admin": "correct horse"})
    answer = bootstrap(bmc, credentials=[entry("admin", "correct horse")], take_over=True)
    assert answer["done"] == ["password changed"] and bmc.writes == ["changed admin"]
    assert kept()["confirmed"] == {"username": "admin", "password": bmc.word("admin")}
    assert not bootstrap(bmc, take_over=True)["changed"]


def test_a_given_password_is_taken(bootstrap: Any) -> None:
    bmc = AccountsBmc({"admin": "correct horse"})
    bootstrap(bmc, credentials=[entry("admin", "correct horse")], new_password="Given-by-hand-1")
    assert bmc.word("palebluedot") == "Given-by-hand-1"
    assert bmc.word("admin") == "correct horse", "only what the factory set is closed"


def test_the_list_is_matched_by_a_serial_number_that_the_root_shows(bootstrap: Any) -> None:
    bmc = AccountsBmc({"root": "from the label"}, Vendor="Dell", Oem={"Dell": {"ServiceTag": "7XQ4M92"}})
    bmc.root["Oem"]["Dell"]["x"] = 1
    entries = [
        entry("root", "another's", serial_number="9ZZ"),
        entry("root", "from the label", serial_number="7XQ4M92"),
    ]
    answer = bootstrap(bmc, credentials=entries, take_over=True, factory_defaults=False)
    assert answer["tried"] == ["list entry 2"] and bmc.wrong == []
    assert answer["bmc"]["serial_number"] == "7XQ4M92"


# -- lockout


def test_an_unknown_product_gets_one_wrong_try_and_then_none(bootstrap: Any) -> None:
    bmc = AccountsBmc({"admin": "right"}, threshold=2)
    entries = [entry("admin", "wrong"), entry("admin", "also wrong"), entry("admin", "right")]
    for _ in range(3):
        with pytest.raises(PaleBlueDotError) as caught:
            bootstrap(bmc, credentials=entries)
        assert caught.value.code == "lockout_near" and caught.value.retryable
        assert "credentials are left to try" in str(caught.value)
    assert bmc.wrong == ["admin"], "whatever is run how often"
    assert bmc.writes == []


def test_a_supermicro_gets_two_and_a_dgx_four(bootstrap: Any, tmp_path: Path) -> None:
    entries = [entry("admin", f"wrong {number}") for number in range(9)]
    for vendor, profile, allowed in (("Supermicro", None, 2), ("AMI", "ami_dgx", 4), ("AMI", None, 1)):
        bmc = AccountsBmc({"admin": "right"}, threshold=99, Vendor=vendor)
        with pytest.raises(PaleBlueDotError, match="might lock"):
            bootstrap(bmc, credentials=entries, profile=profile)
        assert len(bmc.wrong) == allowed, (vendor, profile)


def test_with_patience_the_next_window_is_waited_for(bootstrap: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.bootstrap import lockout

    now, slept = [5000.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(lockout.Tries.__init__, "__kwdefaults__", {"clock": lambda: now[0], "sleep": sleep})
    bmc = AccountsBmc({"admin": "right"}, threshold=99)
    bootstrap(bmc, credentials=[entry("admin", "wrong"), entry("admin", "right")], wait_timeout=200)
    assert [round(seconds) for seconds in slept] == [62]


def test_when_all_are_wrong_it_says_what_was_tried(bootstrap: Any) -> None:
    bmc = AccountsBmc({"admin": "right"}, threshold=99, Vendor="Supermicro")
    with pytest.raises(PaleBlueDotError) as caught:
        bootstrap(bmc, credentials=[entry("admin", "wrong")])
    assert caught.value.code == "credential_unknown"
    assert caught.value.tried == "list entry 1, factory"
    assert "wrong" not in str(caught.value).split("answer")[0].replace("wrong password", "")


def test_nothing_to_try_sends_no_password(bootstrap: Any) -> None:
    bmc = AccountsBmc({"admin": "right"})
    with pytest.raises(PaleBlueDotError) as caught:
        bootstrap(bmc, credentials=[entry("admin", "another's", serial_number="B2")])
    assert caught.value.code == "credential_unknown"
    assert bootstrap.requests() == ["GET /redfish/v1/"]


# -- interrupted


class Killed(BaseException):
    """The process ends here."""


def test_killed_before_the_bmc_has_it_the_old_one_still_opens(
    bootstrap: Any, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bmc = AccountsBmc({"ADMIN": "ADMIN"}, Vendor="Supermicro")
    with monkeypatch.context() as patched:
        patched.setattr(RedfishAccounts, "create", _kill)
        with pytest.raises(Killed):
            bootstrap(bmc)
    proposed = kept()["proposed"]
    assert proposed["username"] == "palebluedot" and kept()["confirmed"] is None and bmc.writes == []
    answer = bootstrap(bmc)
    assert answer["tried"] == ["proposed", "factory"], "the proposed one might have been at the BMC"
    assert kept()["confirmed"] == proposed, "and the same secret is used again"


def test_killed_after_the_bmc_has_it_the_proposed_one_opens(
    bootstrap: Any, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bmc = AccountsBmc({"ADMIN": "ADMIN"}, Vendor="Supermicro")
    with monkeypatch.context() as patched:
        patched.setattr(bmc_bootstrap.FileVault, "confirm", _kill)
        with pytest.raises(Killed):
            bootstrap(bmc)
    assert bmc.writes == ["made palebluedot Administrator", "changed ADMIN"]
    answer = bootstrap(bmc)
    assert answer["opened_by"] == "proposed" and answer["done"] == ["confirmed what an earlier run had proposed"]
    assert bmc.writes == ["made palebluedot Administrator", "changed ADMIN"]
    assert kept() == {"confirmed": {"username": "palebluedot", "password": bmc.word("palebluedot")}, "proposed": None}


@pytest.mark.parametrize("was_empty", [False, True], ids=["beside what opens", "as what opens, too"])
def test_killed_before_the_factory_account_is_closed_the_next_run_closes_it(
    bootstrap: Any, kept: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, was_empty: bool
) -> None:
    bmc = AccountsBmc({"ADMIN": "ADMIN"}, Vendor="Supermicro")
    with monkeypatch.context() as patched:
        patched.setattr(bmc_bootstrap, "_set_password", _kill)
        with pytest.raises(Killed):
            bootstrap(bmc)
    assert bmc.writes == ["made palebluedot Administrator"] and bmc.word("ADMIN") == "ADMIN"
    if was_empty:  # the service's record takes a first proposal as the password in force, too
        proposed = kept()["proposed"]
        (tmp_path / "bmc.json").write_text(json.dumps({"confirmed": proposed, "proposed": proposed}))
    planned = bootstrap(bmc, check_mode=True)
    assert bmc.word("ADMIN") == "ADMIN"
    answer = bootstrap(bmc)
    assert (
        answer["done"] == planned["done"] == ["factory password replaced", "confirmed what an earlier run had proposed"]
    )
    assert bmc.word("ADMIN") == bmc.word("palebluedot") == kept()["confirmed"]["password"]
    assert kept()["proposed"] is None and bmc.wrong == []
    assert len(bmc.ended) == len(bmc.sessions), "every session was ended"
    assert not bootstrap(bmc)["changed"]


def test_an_account_that_shall_stay_open_is_not_tried_later(
    bootstrap: Any, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bmc = AccountsBmc({"ADMIN": "ADMIN"}, Vendor="Supermicro")
    with monkeypatch.context() as patched:
        patched.setattr(bmc_bootstrap.FileVault, "confirm", _kill)
        with pytest.raises(Killed):
            bootstrap(bmc, close_factory=False)
    assert bootstrap(bmc, close_factory=False)["done"] == ["confirmed what an earlier run had proposed"]
    assert bmc.word("ADMIN") == "ADMIN"


def test_a_factory_password_from_the_list_is_closed_too(bootstrap: Any) -> None:
    bmc = AccountsBmc({"ADMIN": "ADMIN"}, Vendor="Supermicro")
    answer = bootstrap(bmc, credentials=[entry("ADMIN", "ADMIN")])
    assert answer["opened_by"] == "list entry 1" and answer["done"] == ["account made", "factory password replaced"]
    assert bmc.word("ADMIN") == bmc.word("palebluedot")


def test_killed_in_the_middle_of_a_demanded_change(bootstrap: Any, kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bmc = AccountsBmc({"root": "0penBmc"}, Vendor="OpenBMC")
    bmc.must_change = "root"
    with monkeypatch.context() as patched:
        patched.setattr(bmc_bootstrap.FileVault, "confirm", _kill)
        with pytest.raises(Killed):
            bootstrap(bmc)
    assert bmc.writes == ["changed root"] and kept()["proposed"] == {"username": "root", "password": bmc.word("root")}
    bootstrap(bmc)
    assert bmc.writes == ["changed root", "made palebluedot Administrator"]
    assert kept()["confirmed"] == {"username": "palebluedot", "password": bmc.word("palebluedot")}
    assert bmc.wrong == []


def _kill(*_: Any, **__: Any) -> None:
    raise Killed


def test_a_lost_answer_is_looked_up_by_a_login(bootstrap: Any, kept: Any) -> None:
    bmc = AccountsBmc({"ADMIN": "ADMIN"}, Vendor="Supermicro")
    bmc.loses_answers = True
    bootstrap(bmc, close_factory=False)
    assert bmc.writes == ["made palebluedot Administrator"], "once"
    assert kept()["confirmed"]["password"] == bmc.word("palebluedot")


@pytest.mark.parametrize("status", [500, 503, 401, 403])
@pytest.mark.parametrize("carried_out", [True, False], ids=["carried out", "not carried out"])
def test_a_secret_that_may_be_at_the_bmc_is_never_thrown_away(
    bootstrap: Any, kept: Any, status: int, carried_out: bool
) -> None:
    from replay import Reply, error

    bmc = AccountsBmc({"ADMIN": "ADMIN"}, threshold=99, Vendor="Supermicro")
    bootstrap(bmc)
    served = bmc._serve

    def failing(method: str, path: str, body: Any, name: str) -> Any:
        if method == "GET":
            return served(method, path, body, name)
        if carried_out:
            served(method, path, body, name)
        return Reply(status, error("Base.1.12.GeneralError", "It did not work."))

    bmc._serve = failing  # type: ignore[method-assign]
    if carried_out:
        assert bootstrap(bmc, account="second")["done"] == ["account made"]
        assert kept() == {"confirmed": {"username": "second", "password": bmc.word("second")}, "proposed": None}
        return
    with pytest.raises(PaleBlueDotError, match="did not work"):
        bootstrap(bmc, account="second")
    assert kept()["confirmed"] == {"username": "palebluedot", "password": bmc.word("palebluedot")}
    assert kept()["proposed"]["username"] == "second" and bmc.wrong == ["second"]


def test_a_refused_password_is_withdrawn(bootstrap: Any, kept: Any) -> None:
    bmc = AccountsBmc({"ADMIN": "ADMIN"}, Vendor="Supermicro")
    bmc.refuses_passwords = True
    with pytest.raises(PaleBlueDotError) as caught:
        bootstrap(bmc)
    assert caught.value.code == "refused" and "too simple" in str(caught.value)
    assert kept() == {"confirmed": None, "proposed": None}


def test_a_new_password_that_holds_a_moment_later_is_tried_twice(bootstrap: Any) -> None:
    bmc = AccountsBmc({"root": "right"}, threshold=99, Vendor="Supermicro")
    made = bmc._serve

    def slow(method: str, path: str, body: Any, name: str) -> Any:
        bmc.deaf = 1 if method == "POST" else 0
        return made(method, path, body, name)

    bmc._serve = slow  # type: ignore[method-assign]
    bootstrap(bmc, credentials=[entry("root", "right")])
    assert bmc.wrong == ["palebluedot"]


def test_a_password_that_never_opens_stays_proposed(bootstrap: Any, kept: Any) -> None:
    bmc = AccountsBmc({"root": "right"}, threshold=99, Vendor="Supermicro")
    served = bmc._serve

    def forgetful(method: str, path: str, body: Any, name: str) -> Any:
        reply = served(method, path, body, name)
        if method == "POST":
            bmc.accounts["2"][1] = "something else"
        return reply

    bmc._serve = forgetful  # type: ignore[method-assign]
    with pytest.raises(PaleBlueDotError) as caught:
        bootstrap(bmc, credentials=[entry("root", "right")])
    assert caught.value.code == "new_password_refused"
    assert kept()["proposed"]["username"] == "palebluedot"


# -- the wrong machine, the wrong options


def test_another_machine_than_the_list_means_is_not_written_to(bootstrap: Any) -> None:
    bmc = AccountsBmc({"ADMIN": "ADMIN"}, Vendor="Supermicro")
    bmc.serial_number = "B2"
    with pytest.raises(PaleBlueDotError) as caught:
        bootstrap(bmc, serial_number="A1")
    assert caught.value.code == "wrong_serial" and "the BMC says B2" in str(caught.value)
    assert bmc.writes == []
    bmc.serial_number = "a1"
    assert bootstrap(bmc, serial_number="A1")["changed"]


def test_an_account_left_over_is_taken_back(bootstrap: Any) -> None:
    bmc = AccountsBmc({"root": "right", "palebluedot": "forgotten"})
    answer = bootstrap(bmc, credentials=[entry("root", "right")])
    assert answer["done"] == ["account taken back"] and bmc.writes == ["changed palebluedot"]
    assert bmc.word("palebluedot") != "forgotten"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"credential_file": None}, "one place"),
        ({"server": "dgx-01"}, "one place"),
        ({"profile": "acme"}, "no profile acme"),
        ({"bmc_port": 1}, "cannot be reached"),
    ],
)
def test_bad_options_are_said_before_a_password_is_sent(bootstrap: Any, options: dict[str, Any], message: str) -> None:
    bmc = AccountsBmc({"admin": "right"})
    with pytest.raises(PaleBlueDotError, match=message):
        bootstrap(bmc, credentials=[entry("admin", "right")], **options)
    assert bmc.wrong == [] and bmc.sessions == {}


VENDORS = {
    "ami": "ami_dgx", "dell": "dell_idrac", "hpe": "hpe_ilo", "lenovo": "lenovo_xcc", "openbmc": "nvidia_grace",
    "supermicro": "supermicro", "generic": "generic",
}  # fmt: skip


def of_lab(lab: Any, folder: Path, **options: Any) -> dict[str, Any]:
    """Options for a machine of the lab whose first password stands in the list."""
    return {
        **lab.params(bmc_username=None, bmc_password=None, bmc_auth="auto"),
        "server": None, "credential_file": str(folder / "bmc.json"), "factory_defaults": False, "mac": None,
        "credentials": [entry(lab.machine.config.bmc_username, lab.machine.config.bmc_password)],
        "serial_number": lab.machine.serial_number, "profile": None, "account": "palebluedot",
        "take_over": False, "new_password": None, "close_factory": True, "wait_timeout": 0,
        "tries_dir": str(folder / "tries"), **options,
    }  # fmt: skip


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_of_the_lab_is_bootstrapped(start_lab: Any, tmp_path: Path, vendor: str) -> None:
    """With its own ETags, slots, roles and password rules; only accounts are written."""
    lab = start_lab(vendor)
    params = of_lab(lab, tmp_path)
    answer = bmc_bootstrap.run(params, False)
    assert answer["opened_by"] == "list entry 1" and answer["done"] == ["account made"]
    assert len(lab.writes()) == 1 and "/AccountService/Accounts" in lab.writes()[0]
    assert lab.sessions() == 0
    assert not bmc_bootstrap.run(params, False)["changed"]
    kept = json.loads((tmp_path / "bmc.json").read_text())["confirmed"]
    again = bmc_bootstrap.run({**params, "take_over": True}, False)
    assert again["done"] == [] and kept["username"] == "palebluedot", "it is taken over already"


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_of_the_lab_has_a_demanded_change_answered(start_lab: Any, tmp_path: Path, vendor: str) -> None:
    lab = start_lab(vendor)
    first = lab.machine.bmc.accounts.find(lab.machine.config.bmc_username)
    first.must_change = True
    answer = bmc_bootstrap.run(of_lab(lab, tmp_path), False)
    assert answer["done"] == ["password changed, as the BMC demanded", "account made"]
    assert not first.must_change and first.password == lab.machine.bmc.accounts.find("palebluedot").password
    assert all("/AccountService/Accounts" in write for write in lab.writes()) and lab.sessions() == 0


@pytest.mark.parametrize("vendor", VENDORS)
def test_no_vendor_of_the_lab_ever_locks_us_out(start_lab: Any, tmp_path: Path, vendor: str) -> None:
    lab = start_lab(vendor)
    wrong = [entry(lab.machine.config.bmc_username, f"wrong password {number}") for number in range(9)]
    params = of_lab(lab, tmp_path, credentials=wrong)
    for _ in range(3):
        with pytest.raises(PaleBlueDotError) as caught:
            bmc_bootstrap.run(params, False)
        assert caught.value.code == "lockout_near"
    account = lab.machine.bmc.accounts.find(lab.machine.config.bmc_username)
    assert account.failures > 0 and not lab.machine.bmc.accounts.locked(account)


# -- a BMC that has nothing but IPMI


def kept_in(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "bmc.json").read_text())["confirmed"]


def test_a_bmc_with_ipmi_alone_gets_our_account_and_its_factory_account_is_closed(
    ipmi_bmc: Any, tmp_path: Path
) -> None:
    accounts = ipmi_bmc.machine.bmc.accounts
    first = accounts.find(ipmi_bmc.machine.config.bmc_username)
    first.username, first.password = "ADMIN", "ADMIN"
    params = of_lab(ipmi_bmc, tmp_path, credentials=[], factory_defaults=True, profile="supermicro")
    planned = bmc_bootstrap.run(params, True)
    assert accounts.find("palebluedot") is None and first.password == "ADMIN"
    answer = bmc_bootstrap.run(params, False)
    assert answer["done"] == planned["done"] == ["account made", "factory password replaced"]
    assert answer["opened_by"] == "factory" and answer["bmc"]["vendor"] is None
    own = accounts.find("palebluedot")
    assert kept_in(tmp_path) == {"username": "palebluedot", "password": own.password}
    assert first.password == own.password != "ADMIN"
    assert not bmc_bootstrap.run(params, False)["changed"]


def test_over_ipmi_nothing_tells_whose_factory_account_it_could_be(ipmi_bmc: Any, tmp_path: Path) -> None:
    with pytest.raises(PaleBlueDotError) as caught:
        bmc_bootstrap.run(of_lab(ipmi_bmc, tmp_path, credentials=[], factory_defaults=True), False)
    assert caught.value.code == "credential_unknown" and "profile generic" in (caught.value.tried or "")


def test_an_account_is_taken_over_over_ipmi(ipmi_bmc: Any, tmp_path: Path) -> None:
    own = ipmi_bmc.machine.config.bmc_username
    params = of_lab(ipmi_bmc, tmp_path, take_over=True)
    with pytest.raises(PaleBlueDotError, match="length"):
        bmc_bootstrap.run({**params, "new_password": "more-than-twenty-chars"}, False)
    assert bmc_bootstrap.run(params, False)["done"] == ["password changed"]
    assert ipmi_bmc.machine.bmc.accounts.find(own).password == kept_in(tmp_path)["password"]


def test_a_change_that_is_demanded_is_no_matter_for_ipmi_and_the_refusal_says_so(ipmi_bmc: Any, tmp_path: Path) -> None:
    first = ipmi_bmc.machine.bmc.accounts.find(ipmi_bmc.machine.config.bmc_username)
    first.must_change = True
    params = of_lab(ipmi_bmc, tmp_path)
    with pytest.raises(PaleBlueDotError, match="bmc_protocol=redfish") as caught:
        bmc_bootstrap.run(params, False)
    assert caught.value.code == "credential_unknown"
    with pytest.raises(PaleBlueDotError) as caught:  # the try is noted for the runs to come
        bmc_bootstrap.run(params, False)
    assert caught.value.code == "lockout_near"
    over_redfish = {**ipmi_bmc.redfish_params(), "bmc_auth": "auto", "tries_dir": str(tmp_path / "other")}
    assert "password changed, as the BMC demanded" in bmc_bootstrap.run({**params, **over_redfish}, False)["done"]
    again = {**params, "tries_dir": str(tmp_path / "again")}
    assert not bmc_bootstrap.run(again, False)["changed"], "and IPMI is open"


def test_another_machine_is_not_written_to_over_ipmi(ipmi_bmc: Any, tmp_path: Path) -> None:
    with pytest.raises(PaleBlueDotError) as caught:
        bmc_bootstrap.run(of_lab(ipmi_bmc, tmp_path, serial_number="Z9"), False)
    assert caught.value.code == "wrong_serial" and ipmi_bmc.machine.bmc.accounts.find("palebluedot") is None
