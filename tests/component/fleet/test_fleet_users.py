"""Accounts, passwords, tokens, keys."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from fleet import clock, errors, secrets
from fleet.actor import SYSTEM, Actor
from fleet.models import ApiToken, AuditEntry, SshKey, User
from fleet.operations import credentials, ledger, release, users
from tests.component.fleet.support import ALLOCATE, KEY, PASSWORD, RELEASE, Site


def login(site: Site, password: str = PASSWORD, username: str = "ada") -> Actor:
    """As the service does it: a refusal is raised when what was counted is in the record."""
    with site.database.transaction() as session:
        result = users.try_login(session, username, password, "192.0.2.50")
    if result.error is not None:
        raise result.error
    assert result.actor is not None
    return result.actor


@pytest.fixture
def ada(fleet: Site) -> Site:
    """Ada has a password."""
    with fleet.database.transaction() as session:
        users.set_password(session, fleet.ada, "ada", PASSWORD)
    return fleet


def test_a_right_password_is_an_actor(ada: Site) -> None:
    actor = login(ada)
    assert (actor.id, actor.username, actor.role, actor.remote_addr) == (ada.ada.id, "ada", "user", "192.0.2.50")


@pytest.mark.parametrize(
    ("username", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("bob", PASSWORD), ("ada", "")]
)
def test_a_refusal_does_not_say_what_was_wrong(ada: Site, username: str, password: str) -> None:
    with pytest.raises(errors.Unauthenticated) as caught:
        login(ada, password, username)
    assert caught.value.message == "wrong username or password"


def test_wrong_passwords_are_counted_although_the_login_is_refused(ada: Site) -> None:
    for _ in range(5):
        with pytest.raises(errors.Unauthenticated) as caught:
            login(ada, "wrong")
        assert not isinstance(caught.value, errors.Locked)
    with pytest.raises(errors.Locked) as locked:
        login(ada)
    first = locked.value.detail["retry_after_s"]
    with clock.travel(timedelta(seconds=first + 1)):
        with pytest.raises(errors.Unauthenticated):
            login(ada, "wrong")
        with pytest.raises(errors.Locked) as locked:
            login(ada)
        assert locked.value.detail["retry_after_s"] > first
    with clock.travel(timedelta(minutes=30)):
        assert login(ada).username == "ada"
        with ada.database.reading() as session:
            row = session.scalars(select(User).where(User.username == "ada")).one()
            assert (row.failed_logins, row.locked_until) == (0, None)


def test_a_password_checked_beforehand_is_believed_while_the_hash_is_the_same(
    ada: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ada.database.reading() as session:
        right, wrong = (users.check_password(session, "ada", word) for word in (PASSWORD, "wrong"))
        nobody = users.check_password(session, "nobody", PASSWORD)
    assert right is not None and PASSWORD not in repr(right) and "argon2" not in repr(right)

    def attempt(check: users.PasswordCheck | None, username: str = "ada", password: str = PASSWORD) -> str:
        with ada.database.transaction() as session:
            error = users.try_login(session, username, password, check=check).error
            return error.code if error is not None else "in"

    with monkeypatch.context() as patched:
        patched.setattr(secrets, "verify_password", lambda *_: pytest.fail("hashed while the write lock was held"))
        assert attempt(right) == "in"
        assert attempt(wrong, password="wrong") == "wrong_credentials"
        assert attempt(nobody, "nobody") == "wrong_credentials"
    with ada.database.transaction() as session:
        users.set_password(session, ada.ada, "ada", "another password")
    assert attempt(right) == "wrong_credentials", "checked against the password before"
    assert attempt(wrong, password="another password") == "in"
    for _ in range(5):
        attempt(None, password="wrong")
    with ada.database.reading() as session:
        assert users.check_password(session, "ada", "another password") is None, "locked"
    assert attempt(None, password="another password") == errors.Locked.code


def test_logins_are_audited_without_the_password(ada: Site) -> None:
    login(ada)
    with pytest.raises(errors.Unauthenticated):
        login(ada, "hunter2hunter2")
    with ada.database.reading() as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action == "user.login")).all()
        assert [entry.outcome for entry in entries] == ["ok", "unauthenticated"]
        assert "hunter2" not in str([vars(entry) for entry in entries])


def test_passwords_are_argon2id_and_old_parameters_are_renewed(ada: Site) -> None:
    from argon2 import PasswordHasher

    with ada.database.transaction() as session:
        row = session.scalars(select(User).where(User.username == "ada")).one()
        assert row.password_hash is not None and row.password_hash.startswith("$argon2id$")
        row.password_hash = weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    login(ada)
    with ada.database.reading() as session:
        assert session.scalars(select(User).where(User.username == "ada")).one().password_hash != weak


def test_a_disabled_account_stays_out(ada: Site) -> None:
    with ada.database.transaction() as session:
        token = users.mint_token(session, ada.ada, "t").token
        session.scalars(select(User).where(User.username == "ada")).one().disabled = True
    with pytest.raises(errors.Unauthenticated):
        login(ada)
    with ada.database.reading() as session:
        with pytest.raises(errors.Unauthenticated):
            users.verify_token(session, token)
        with pytest.raises(errors.Unauthenticated):
            users.actor_of(session, ada.ada.id)


def test_a_new_password_ends_old_logins(ada: Site) -> None:
    with ada.database.reading() as session:
        before = clock.now(session).timestamp() - 60
        with pytest.raises(errors.Unauthenticated):
            users.actor_of(session, ada.ada.id, before)
        assert users.actor_of(session, ada.ada.id, clock.now(session).timestamp() + 1).username == "ada"
        with pytest.raises(errors.Unauthenticated):
            users.actor_of(session, "usr_nobody")
    with ada.database.transaction() as session:
        users.end_logins(session, ada.ada)
        issued = clock.now(session).timestamp() - 1
        with pytest.raises(errors.Unauthenticated):
            users.actor_of(session, ada.ada.id, issued)


def test_only_administrators_make_users_and_quotas(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        for actor in (fleet.ada, Actor("usr_x", "op", "operator")):
            with pytest.raises(errors.Forbidden):
                users.create_user(session, actor, "eve", PASSWORD)
            with pytest.raises(errors.Forbidden):
                users.set_quota(session, actor, "ada", max_gpu_count=1)
            with pytest.raises(errors.Forbidden):
                users.set_password(session, actor, "bob", PASSWORD)
        with pytest.raises(errors.Forbidden):
            users.quota_usage(session, fleet.ada, "bob")
        assert users.quota_usage(session, fleet.admin, "bob").max_gpu_count == 64


@pytest.mark.parametrize(
    ("username", "password", "role", "code"),
    [
        ("Ada!", PASSWORD, "user", "invalid_username"),
        ("", PASSWORD, "user", "invalid_username"),
        ("eve", "short", "user", "invalid_password"),
        ("eve", PASSWORD, "king", "invalid_role"),
        ("ada", PASSWORD, "user", "already_exists"),
    ],
)
def test_a_wrong_account_is_refused(fleet: Site, username: str, password: str, role: str, code: str) -> None:
    with pytest.raises(errors.FleetError) as caught, fleet.database.transaction() as session:
        users.create_user(session, SYSTEM, username, password, role)
    assert caught.value.code == code


def test_quotas_are_checked(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        for limits in ({"max_gpu_count": -1}, {"max_fun": 3}):
            with pytest.raises(errors.Invalid):
                users.set_quota(session, SYSTEM, "ada", **limits)
        users.set_quota(session, SYSTEM, "ada", max_gpu_count=None)
        assert users.quota_usage(session, fleet.ada).max_gpu_count is None


def test_a_token_is_shown_once_and_kept_as_a_hash(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        minted = users.mint_token(session, fleet.ada, "ci", 60)
        row = session.get_one(ApiToken, minted.id)
        assert minted.token.startswith("pbd_") and len(minted.token) > 40
        assert minted.token not in str(vars(row))
        assert row.token_hash == secrets.token_hash(minted.token)
    with fleet.database.reading() as session:
        actor = users.verify_token(session, minted.token, "192.0.2.9", "req-9")
        assert actor == Actor(fleet.ada.id, "ada", "user", None, "192.0.2.9", "req-9")


def test_tokens_end(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        short, gone = users.mint_token(session, fleet.ada, "short", 60), users.mint_token(session, fleet.ada, "gone")
        with pytest.raises(errors.NotFound):
            users.revoke_token(session, fleet.bob, gone.id)
        users.revoke_token(session, fleet.ada, gone.id)
        users.revoke_token(session, fleet.ada, gone.id)
        codes = {}
        with clock.travel(timedelta(seconds=61)):
            for name, token in (("short", short.token), ("gone", gone.token), ("unknown", "pbd_x")):
                with pytest.raises(errors.Unauthenticated) as caught:
                    users.verify_token(session, token)
                codes[name] = caught.value.code
        assert codes == {"short": "token_expired", "gone": "token_revoked", "unknown": "token_unknown"}


def test_a_jobs_token_is_automation_on_its_workflow(fleet: Site) -> None:
    workflow = fleet.workflow_of(fleet.reserve())
    with fleet.database.transaction() as session:
        with pytest.raises(errors.Forbidden):
            users.mint_token(session, fleet.ada, "job", 60, workflow)
        minted = users.mint_token(session, SYSTEM, "job", 60, workflow)
        job = users.verify_token(session, minted.token)
        assert (job.role, job.workflow_id) == ("automation", workflow)
        with pytest.raises(errors.Invalid):
            users.mint_token(session, job, "more")
        with pytest.raises(errors.NotFound):
            users.revoke_token(session, job, users.mint_token(session, fleet.ada, "x").id)
        users.revoke_token(session, job, minted.id)
        with pytest.raises(errors.Unauthenticated):
            users.verify_token(session, minted.token)


def test_a_jobs_token_ends_a_minute_after_its_workflow(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    with fleet.database.transaction() as session:
        token = users.mint_token(session, SYSTEM, "job", None, workflow.id).token
    for step in ALLOCATE:
        fleet.step(workflow, step)
    assert fleet.workflow(workflow.id).status == "succeeded"
    with fleet.database.transaction() as session:
        job = users.verify_token(session, token)
        call = (workflow.id, "hand_over", "gpu-01", workflow.attempt, workflow.fence, "succeeded")
        assert ledger.end(session, job, *call).action == "run", "the answer had got lost"
        with pytest.raises(errors.Forbidden):
            credentials.of_server(session, job, "gpu-01")
        with pytest.raises(errors.Forbidden):
            credentials.of_switch(session, job, "leaf-1")
        with clock.travel(timedelta(seconds=61)), pytest.raises(errors.Unauthenticated) as caught:
            users.verify_token(session, token)
    assert caught.value.code == "token_expired"


def test_a_releases_token_does_not_reach_a_server_that_is_back_in_the_pool(fleet: Site) -> None:
    allocation = fleet.active(gpu_count=16)
    with fleet.database.transaction() as session:
        release.start_release(session, fleet.ada, allocation)
    workflow = fleet.claim_next()
    done, open_ = fleet.servers(workflow)
    with fleet.database.transaction() as session:
        job = users.verify_token(session, users.mint_token(session, SYSTEM, "job", None, workflow.id).token)
        assert credentials.of_server(session, job, done).username == "admin"
    for step in RELEASE:
        fleet.step(workflow, step, done)
    with fleet.database.transaction() as session:
        assert credentials.of_server(session, job, open_).username == "admin"
        with pytest.raises(errors.Forbidden):
            credentials.of_server(session, job, done)


@pytest.mark.parametrize(("name", "expires"), [("", 60), ("x" * 129, 60), ("x", 0), ("x", -1)])
def test_a_wrong_token_is_refused(fleet: Site, name: str, expires: float) -> None:
    with pytest.raises(errors.Invalid), fleet.database.transaction() as session:
        users.mint_token(session, fleet.ada, name, expires)


def test_the_use_of_a_token_is_noted_now_and_then(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        minted = users.mint_token(session, fleet.ada, "ci")
        users.touch_token(session, minted.token)
        first = session.get_one(ApiToken, minted.id).last_used_at
        users.touch_token(session, minted.token)
        assert session.get_one(ApiToken, minted.id).last_used_at == first is not None
        with clock.travel(timedelta(minutes=6)):
            users.touch_token(session, minted.token)
        assert session.get_one(ApiToken, minted.id).last_used_at != first
        users.touch_token(session, "pbd_unknown")


def test_keys_are_added_and_deleted(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        key = users.add_ssh_key(session, fleet.ada, "laptop", f"  {KEY}\n")
        assert key.public_key == KEY
        for name, line in (("laptop", KEY), ("other", KEY)):
            with pytest.raises(errors.Conflict):
                users.add_ssh_key(session, fleet.ada, name, line)
        users.add_ssh_key(session, fleet.bob, "laptop", KEY)
        with pytest.raises(errors.NotFound):
            users.delete_ssh_key(session, fleet.bob, key.id)
        users.delete_ssh_key(session, fleet.ada, key.id)
        session.flush()
        assert session.get(SshKey, key.id) is None


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_keys_that_openssh_makes_are_taken_with_its_fingerprint(tmp_path: Path, kind: str) -> None:
    try:
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", tmp_path / "key"], check=True, timeout=30)
    except FileNotFoundError:
        pytest.skip("ssh-keygen is not installed")
    said = subprocess.run(["ssh-keygen", "-lf", tmp_path / "key.pub"], check=True, capture_output=True, text=True)
    line, fingerprint = users.check_public_key((tmp_path / "key.pub").read_text())
    assert fingerprint == said.stdout.split()[1]
    assert line == (tmp_path / "key.pub").read_text().strip()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-dss AAAAB3NzaC1kc3MAAACBAP",
        "ssh-ed25519 not-base64!",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 AAAAÅ",
        KEY.replace("ssh-ed25519", "ssh-rsa", 1),
        'command="rm -rf /" ' + KEY,
        KEY + "\n" + KEY,
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ],
)
def test_what_is_no_public_key_is_refused(line: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        users.check_public_key(line)
    assert caught.value.code == "invalid_ssh_key"
