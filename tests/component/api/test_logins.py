"""Logging in, staying in, logging out; tokens that expired, were revoked, forged, or belong to somebody disabled."""

from __future__ import annotations

import time
from datetime import timedelta

import jwt
import pytest
from flask import Flask

from api.auth import ISSUER, TokenUses
from api.records import record
from fleet import clock
from fleet.actor import SYSTEM
from fleet.models import ApiToken
from fleet.operations import lookup, users
from fleet.settings import get_settings
from tests.component.api.conftest import Prepared, serving
from tests.component.api.support import PASSWORD, Caller, problem


def log_in(anybody: Caller, username: str = "user", password: str = PASSWORD) -> dict[str, str]:
    answer = anybody.post("/auth/login", {"username": username, "password": password})
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json or {}
    return found


def test_a_login_gives_a_pair_that_works_for_what_each_is_for(anybody: Caller) -> None:
    pair = log_in(anybody)
    access, refresh = Caller(anybody.client, pair["access_token"]), Caller(anybody.client, pair["refresh_token"])
    profile = access.get("/users/profile").json
    assert profile is not None and (profile["username"], profile["role"]) == ("user", "user")
    assert "password_hash" not in profile
    problem(refresh.get("/users/profile"), 401, "invalid_token")
    problem(access.post("/auth/refresh"), 401, "invalid_token")
    fresh = refresh.post("/auth/refresh").json
    assert fresh is not None and Caller(anybody.client, fresh["access_token"]).get("/users/quota").status_code == 200


@pytest.mark.parametrize(("username", "password"), [("user", "wrong password"), ("nobody", PASSWORD), ("user", "x")])
def test_wrong_name_and_wrong_password_are_not_told_apart(anybody: Caller, username: str, password: str) -> None:
    document = problem(
        anybody.post("/auth/login", {"username": username, "password": password}), 401, "wrong_credentials"
    )
    assert document["detail"] == "wrong username or password"


def test_wrong_passwords_are_counted_and_lock_for_a_while(anybody: Caller) -> None:
    answers = [anybody.post("/auth/login", {"username": "user", "password": "wrong"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    locked = problem(answers[-1], 429, "locked")
    assert int(answers[-1].headers["Retry-After"]) >= 1 and locked["next"]
    problem(anybody.post("/auth/login", {"username": "user", "password": PASSWORD}), 429, "locked")
    log_in(anybody, "neighbour")


def test_logging_in_is_limited_per_address(prepared: Prepared, app: Flask) -> None:
    path = record(app).engine.url.database
    assert path is not None
    from pathlib import Path

    with serving(prepared, Path(path), PALEBLUEDOT_LOGIN_RATE_LIMIT="3 per minute") as limited:
        caller = Caller(limited.test_client())
        answers = [caller.post("/auth/login", {"username": "user", "password": "wrong"}) for _ in range(4)]
        document = problem(answers[-1], 429, "rate_limited")
        assert document["next"] and int(answers[-1].headers["Retry-After"]) > 0
        assert caller.get("/healthz").status_code == 200


def test_everything_is_limited_generously_except_health(prepared: Prepared, app: Flask) -> None:
    path = record(app).engine.url.database
    assert path is not None
    from pathlib import Path

    with serving(prepared, Path(path), PALEBLUEDOT_RATE_LIMIT="5 per minute") as limited:
        user = Caller(limited.test_client(), prepared.tokens["user"])
        assert [user.get("/users/quota").status_code for _ in range(6)] == [200] * 5 + [429]
        assert Caller(limited.test_client(), prepared.tokens["admin"]).get("/users/quota").status_code == 200
        assert [user.get(path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [200] * 3


def test_an_access_token_expires_and_a_refresh_token_helps(anybody: Caller, app: Flask) -> None:
    app.config["JWT_ACCESS_TOKEN_EXPIRES"] = timedelta(seconds=-1)
    pair = log_in(anybody)
    answer = Caller(anybody.client, pair["access_token"]).get("/users/profile")
    document = problem(answer, 401, "token_expired")
    assert "refresh" in document["next"]
    assert 'error="token_expired"' in answer.headers["WWW-Authenticate"]
    app.config["JWT_ACCESS_TOKEN_EXPIRES"] = timedelta(minutes=5)
    fresh = Caller(anybody.client, pair["refresh_token"]).post("/auth/refresh").json
    assert fresh is not None and Caller(anybody.client, fresh["access_token"]).get("/users/profile").status_code == 200


def test_logging_out_ends_logins_but_not_api_tokens(anybody: Caller, user: Caller) -> None:
    pair = log_in(anybody)
    access, refresh = Caller(anybody.client, pair["access_token"]), Caller(anybody.client, pair["refresh_token"])
    assert access.post("/auth/logout").status_code == 204
    problem(access.get("/users/profile"), 401, "token_revoked")
    problem(refresh.post("/auth/refresh"), 401, "token_revoked")
    assert user.get("/users/profile").status_code == 200
    again = log_in(anybody)
    assert Caller(anybody.client, again["access_token"]).get("/users/profile").status_code == 200


def test_a_new_password_ends_earlier_logins(anybody: Caller, app: Flask) -> None:
    pair = log_in(anybody)
    time.sleep(1.1)  # the record keeps that moment in whole seconds
    with record(app).transaction() as session:
        users.set_password(session, SYSTEM, "user", "another password")
    problem(Caller(anybody.client, pair["access_token"]).get("/users/profile"), 401, "token_revoked")
    log_in(anybody, password="another password")


def test_a_disabled_account_is_out_at_once(anybody: Caller, user: Caller, app: Flask) -> None:
    access = Caller(anybody.client, log_in(anybody)["access_token"])
    with record(app).transaction() as session:
        lookup.user(session, "user").disabled = True
    problem(access.get("/users/profile"), 401)
    problem(user.get("/users/profile"), 401)
    problem(anybody.post("/auth/login", {"username": "user", "password": PASSWORD}), 401)


def test_a_role_change_counts_at_once(anybody: Caller, app: Flask) -> None:
    access = Caller(anybody.client, log_in(anybody)["access_token"])
    problem(access.get("/servers"), 403)
    with record(app).transaction() as session:
        lookup.user(session, "user").role = "operator"
    assert access.get("/servers").status_code == 200


def _forged(user_id: str, *, key: str, algorithm: str = "HS256", **claims: object) -> str:
    now = time.time()
    payload = {
        "sub": user_id, "iat": now, "nbf": int(now), "exp": int(now) + 60, "jti": "1", "type": "access", "fresh": False,
        "iss": ISSUER, **claims,
    }  # fmt: skip
    return jwt.encode(payload, key, algorithm=algorithm)


def test_forged_tokens_are_refused(anybody: Caller, app: Flask) -> None:
    with record(app).reading() as session:
        admin = lookup.user(session, "admin").id
    key_file = get_settings().jwt_secret_file
    assert key_file is not None and key_file.stat().st_mode & 0o777 == 0o600
    key = key_file.read_text().strip()
    assert Caller(anybody.client, _forged(admin, key=key)).get("/users/profile").status_code == 200
    for token in (
        _forged(admin, key="guess" * 10),
        _forged(admin, key="", algorithm="none"),
        _forged(admin, key=key, algorithm="HS512"),
        _forged(admin, key=key, iss="somebody else"),
        _forged(admin, key=key, type="refresh"),
        _forged(admin, key=key, nbf=int(time.time()) + 3600),
        "a.b.c",
        "x" * 5000,
        "\xff",
    ):
        assert Caller(anybody.client, token).get("/users/profile").status_code == 401, token
    problem(Caller(anybody.client, _forged("usr_gone", key=key)).get("/users/profile"), 401)


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer a b c", "pbd_x", "Bearer pbd_unknown"]
)
def test_headers_that_are_no_bearer_token(anybody: Caller, header: str) -> None:
    problem(anybody.get("/users/profile", headers={"Authorization": header}), 401)


def test_api_tokens_are_shown_once_listed_and_revoked(user: Caller, neighbour: Caller) -> None:
    minted = user.post("/tokens", {"name": "laptop", "expires_in_s": 3600}).json
    assert minted is not None and minted["token"].startswith("pbd_")
    own = Caller(user.client, minted["token"])
    assert own.get("/users/profile").status_code == 200
    listing = user.get("/tokens").json
    assert listing is not None and [item["name"] for item in listing["items"]] == ["tests", "laptop"]
    assert minted["token"] not in str(listing)
    problem(neighbour.delete(f"/tokens/{minted['id']}"), 404, "not_found")
    assert user.delete(f"/tokens/{minted['id']}").status_code == 204
    problem(own.get("/users/profile"), 401, "token_revoked")


def test_an_api_token_expires(user: Caller) -> None:
    minted = user.post("/tokens", {"name": "short", "expires_in_s": 60}).json
    assert minted is not None
    with clock.travel(timedelta(seconds=61)):
        problem(Caller(user.client, minted["token"]).get("/users/profile"), 401, "token_expired")


def test_the_use_of_a_token_is_noted_now_and_then(user: Caller, app: Flask) -> None:
    def last_used() -> object:
        with record(app).reading() as session:
            owner = lookup.user(session, "user").id
            return session.query(ApiToken).filter_by(user_id=owner).one().last_used_at

    user.get("/users/profile")
    first = last_used()
    assert first is not None
    user.get("/users/profile")
    assert last_used() == first


def test_noting_uses_is_bounded() -> None:
    uses = TokenUses(every_s=300)
    assert uses.due("a") and not uses.due("a") and uses.due("b")
    uses.MOST = 2
    assert uses.due("c") and uses.due("a")


def test_ssh_keys_come_and_go_and_repeating_with_a_key_is_harmless(user: Caller, neighbour: Caller) -> None:
    key = {
        "name": "laptop",
        "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5mHTHDQmpVVbbDWHFAYzEIvKQsAA4zBkvUFEzWaMWX me@laptop ☃",
    }
    repeat = {"Idempotency-Key": "abc"}
    made = user.post("/ssh-keys", key, headers=repeat)
    assert made.status_code == 201, made.text
    again = user.post("/ssh-keys", key, headers=repeat)
    assert (again.status_code, again.json) == (201, made.json)
    assert again.headers["Idempotency-Replayed"] == "true"
    problem(user.post("/ssh-keys", {**key, "name": "other"}, headers=repeat), 409, "idempotency_mismatch")
    problem(user.post("/ssh-keys", key), 409, "already_exists")
    assert neighbour.post("/ssh-keys", key, headers=repeat).status_code == 201
    assert made.json is not None
    problem(neighbour.delete(f"/ssh-keys/{made.json['id']}"), 404)
    assert user.delete(f"/ssh-keys/{made.json['id']}").status_code == 204
    assert user.get("/ssh-keys").json == {"items": [], "next_cursor": None}
