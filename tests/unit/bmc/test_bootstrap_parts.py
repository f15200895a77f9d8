"""The parts of a first login: whose credential is tried, how often, and where the new one is kept."""

from __future__ import annotations

import json
import multiprocessing
import string
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.bootstrap.candidates import Identity, candidates
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.bootstrap.lockout import Tries
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.bootstrap.passwords import new_password
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.bootstrap.vault import FileVault
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors import PROFILES
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import Busy, PaleBlueDotError
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.credentials import Credential

ME = Identity("10.0.0.9", uuid="92384634-2938-2342-8820-489239905423", serial_number="A1", mac="5c:ff:35:e2:00:11")


def entry(password: str, **selectors: str) -> dict[str, Any]:
    return {"username": "admin", "password": password, **selectors}


def order(entries: list[dict[str, Any]], identity: Identity = ME, **more: Any) -> list[tuple[str, str]]:
    found = candidates(more.get("recorded", []), entries, more.get("factory", ()), identity)
    return [(candidate.source, candidate.credential.password) for candidate in found]


# -- candidates


@pytest.mark.parametrize(
    "selectors",
    [
        {"serial_number": " a1 "},
        {"uuid": "923846342938234288 20489239905423".replace(" ", "").upper()},
        {"mac": "5C-FF-35-E2-00-11"},
        {"address": "10.0.0.9"},
        {"serial_number": "A1", "address": "10.0.0.9"},
        {},
    ],
)
def test_an_entry_for_this_machine_is_tried(selectors: dict[str, str]) -> None:
    assert order([entry("right", **selectors)]) == [("list entry 1", "right")]


@pytest.mark.parametrize(
    "selectors",
    [{"serial_number": "A2"}, {"mac": "5c:ff:35:e2:00:12"}, {"serial_number": "A1", "address": "10.0.0.8"}],
)
def test_the_password_of_another_machine_is_not_sent_to_this_one(selectors: dict[str, str]) -> None:
    assert order([entry("theirs", **selectors)]) == []


def test_a_selector_that_cannot_be_compared_is_no_match() -> None:
    assert order([entry("maybe", serial_number="A1")], Identity("10.0.0.9")) == []


def test_ipv6_addresses_are_compared_as_addresses() -> None:
    assert order([entry("p", address="FD00:0::1")], Identity("[fd00::1]")) == [("list entry 1", "p")]


def test_what_is_recorded_comes_first_and_the_factorys_last_and_each_once() -> None:
    recorded = [("recorded", Credential("admin", "new")), ("proposed", Credential("admin", "newer"))]
    entries = [entry("everybody's"), entry("mine", serial_number="A1"), entry("new")]
    assert order(entries, recorded=recorded, factory=(("admin", "admin"), ("admin", "mine"))) == [
        ("recorded", "new"),
        ("proposed", "newer"),
        ("list entry 2", "mine"),
        ("list entry 1", "everybody's"),
        ("factory", "admin"),
    ]


def test_no_candidate_shows_its_password() -> None:
    (found,) = candidates([], [entry("secret")], (), ME)
    assert "secret" not in repr(found)


# -- tries


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def tries(folder: Path, clock: Clock, threshold: int = 3, window_s: float = 30) -> Tries:
    return Tries(folder, "10.0.0.9", threshold, window_s, clock=clock, sleep=clock.sleep)


def test_one_try_less_than_locks_is_made_and_the_next_waits_for_the_window(tmp_path: Path) -> None:
    clock = Clock()
    mine = tries(tmp_path, clock, threshold=3)
    patience = Deadline(100, clock)
    made = []
    for _ in range(5):
        mine.take(patience)
        made.append(clock.now - 1000)
        clock.now += 1
    assert made[:2] == [0, 1]
    for at in range(2, 5):
        within = [other for other in made[:at] if made[at] - other <= 30]
        assert len(within) <= 1, "with this one never three within thirty seconds"


def test_tries_of_another_run_count(tmp_path: Path) -> None:
    clock = Clock()
    tries(tmp_path, clock, threshold=2).take(Deadline(0, clock))
    with pytest.raises(Busy) as caught:
        tries(tmp_path, clock, threshold=2).take(Deadline(5, clock))
    assert caught.value.code == "lockout_near" and caught.value.retryable
    assert not clock.slept, "it does not wait for what it cannot wait for"


def test_a_right_password_is_no_wrong_try(tmp_path: Path) -> None:
    clock = Clock()
    for _ in range(4):
        mine = tries(tmp_path, clock, threshold=2)
        mine.take(Deadline(0, clock))
        mine.forget()


def test_another_bmc_has_tries_of_its_own(tmp_path: Path) -> None:
    clock = Clock()
    for number in range(4):
        Tries(tmp_path, f"10.0.0.{number}", 2, 30, clock=clock, sleep=clock.sleep).take(Deadline(0, clock))


def test_a_file_that_is_broken_counts_as_none(tmp_path: Path) -> None:
    clock = Clock()
    tries(tmp_path, clock, threshold=2).take(Deadline(0, clock))
    (file,) = tmp_path.glob("*.json")
    file.write_text("{nonsense")
    tries(tmp_path, clock, threshold=2).take(Deadline(0, clock))
    assert len(json.loads(file.read_text())) == 1


def test_a_folder_that_cannot_be_written_is_said_and_nothing_tried(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PaleBlueDotError) as caught:
        tries(tmp_path / "file", Clock()).take(Deadline(0))
    assert caught.value.code == "tries_not_kept"


def _take(folder: str) -> bool:
    try:
        Tries(Path(folder), "10.0.0.9", 4, 60).take(Deadline(0))
    except Busy:
        return False
    return True


def test_runs_at_the_same_time_share_the_window(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert sum(pool.map(_take, [str(tmp_path)] * 8)) == 3


# -- passwords


def test_a_new_password_suits_every_vendor() -> None:
    made = {new_password() for _ in range(200)}
    assert len(made) == 200
    for password in made:
        assert len(password) == 16 and password[0] in string.ascii_letters
        for group in (string.ascii_uppercase, string.ascii_lowercase, string.digits, "-_.+=!"):
            assert set(password) & set(group)
        assert not set(password) & set("\"'\\ &<>$:/@")


# -- the vault


def test_both_secrets_are_kept_until_one_is_confirmed(tmp_path: Path) -> None:
    file = tmp_path / "bmc.json"
    vault = FileVault(file)
    assert vault.known() == [] and vault.standing() is None
    old, new = Credential("admin", "old"), Credential("admin", "new")
    vault.propose(old)
    vault.confirm(old)
    vault.propose(new)
    assert FileVault(file).known() == [("recorded", old), ("proposed", new)]
    assert vault.standing() == new
    vault.withdraw()
    assert vault.known() == [("recorded", old)]
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bmc.json"
    FileVault(file).confirm(Credential("admin", "old"))
    file.chmod(0o640)
    with pytest.raises(PaleBlueDotError) as caught:
        FileVault(file).known()
    assert caught.value.code == "credential_file_open"


def test_a_folder_that_is_not_there_is_said_before_the_bmc_hears_of_it(tmp_path: Path) -> None:
    with pytest.raises(PaleBlueDotError) as caught:
        FileVault(tmp_path / "nowhere" / "bmc.json").propose(Credential("admin", "new"))
    assert caught.value.code == "credential_not_recorded"


# -- the profiles' rows


@pytest.mark.parametrize(
    ("profile", "account", "tries", "window_s"),
    [
        ("ami_dgx", ("admin", "admin"), 5, 30),
        ("ami", ("admin", "admin"), 2, 60),
        ("dell_idrac", ("root", "calvin"), 3, 60),
        ("hpe_ilo", None, 2, 60),
        ("lenovo_xcc", ("USERID", "PASSW0RD"), 5, 3600),
        ("supermicro", ("ADMIN", "ADMIN"), 3, 30),
        ("nvidia_grace", ("root", "0penBmc"), 2, 60),
        ("openbmc", ("root", "0penBmc"), 2, 60),
    ],
)
def test_factory_accounts_and_lockouts(
    profile: str, account: tuple[str, str] | None, tries: int, window_s: float
) -> None:
    (found,) = [each for each in PROFILES if each.name == profile]
    assert found.factory_accounts == ((account,) if account else ())
    assert (found.lockout_tries, found.lockout_window_s) == (tries, window_s)
