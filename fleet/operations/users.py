"""Accounts, passwords, quotas, tokens and SSH keys."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fleet import audit, clock, secrets
from fleet.actor import ROLES, Actor
from fleet.errors import Conflict, Invalid, Locked, NotFound, Unauthenticated
from fleet.models import Allocation, ApiToken, SshKey, User, UserQuota, Workflow
from fleet.operations import lookup
from fleet.settings import get_settings
from fleet.states import QUOTA_STATES, WORKFLOW_ENDED

USERNAME = re.compile(r"[a-z_][a-z0-9_.@-]{0,62}")
PASSWORD_LENGTH = range(8, 1025)
# key types OpenSSH accepts today; DSA is gone since 9.8
SSH_KEY_TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
SERVICE_USERNAME = "service"
# how old `last_used_at` of a token may be before a use writes it anew
TOKEN_USE_RESOLUTION = timedelta(minutes=5)
# how long a job's token outlives its workflow: the answer to the call that ended it may have to be asked for again
JOB_TOKEN_GRACE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """Ceilings (null: none) and what counts against them now."""

    max_gpu_count: int | None
    max_memory_gb: int | None
    max_storage_gb: int | None
    used_gpu_count: int
    used_memory_gb: int
    used_storage_gb: int


@dataclass(frozen=True, slots=True)
class MintedToken:
    """The token itself is shown here and never again."""

    id: str
    token: str


def create_user(
    session: Session, actor: Actor, username: str, password: str | None, role: str = "user", email: str | None = None
) -> User:
    """A new account with the default quota. Administrators only. Raises Invalid, Conflict (name taken)."""
    actor.require("admin")
    if not USERNAME.fullmatch(username):
        raise Invalid(
            f"{username!r} is no username",
            code="invalid_username",
            next="use 1 to 63 of a-z, 0-9, _ . @ -, beginning with a letter or _",
        )
    if role not in ROLES:
        raise Invalid(f"role {role!r} is not one of {', '.join(ROLES)}", code="invalid_role")
    if session.scalar(select(User.id).where(User.username == username)) is not None:
        raise Conflict(f"there is a user {username} already", code="already_exists")
    user = User(username=username, email=email, role=role, password_hash=_hashed(password) if password else None)
    session.add(user)
    session.flush()
    quota_row(session, user.id)
    audit.record(session, actor, "user.create", user.id, {"username": username, "role": role})
    session.flush()
    return user


def set_password(session: Session, actor: Actor, username: str, password: str) -> User:
    """A new password, one's own or (administrators) anybody's; tokens from earlier logins are void from now on."""
    user = lookup.user(session, username)
    if actor.id != user.id:
        actor.require("admin")
    user.password_hash = _hashed(password)
    user.failed_logins = 0
    user.locked_until = None
    user.tokens_valid_from = clock.now(session)
    audit.record(session, actor, "user.set_password", user.id)
    return user


def _hashed(password: str) -> str:
    if len(password) not in PASSWORD_LENGTH:
        raise Invalid("a password has 8 to 1024 characters", code="invalid_password")
    return secrets.hash_password(password)


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """Whether a password is right for the hash `stored`, which the record had at that moment."""

    stored: str | None = field(repr=False)
    right: bool


def check_password(session: Session, username: str, password: str) -> PasswordCheck | None:
    """For `try_login`, made beforehand on a session that only reads: argon2 takes its time while nobody waits for the
    write lock. None for an account that is locked, which no password opens."""
    user = session.scalar(select(User).where(User.username == username))
    if user is not None and user.locked_until is not None and user.locked_until > clock.now(session):
        return None
    stored = user.password_hash if user is not None else None
    return PasswordCheck(stored, secrets.verify_password(stored, password))


@dataclass(frozen=True, slots=True)
class LoginResult:
    """`actor` is None when the login failed; `error` says why. The caller commits first and raises afterwards: the
    count of wrong passwords must outlive the refusal."""

    actor: Actor | None
    error: Unauthenticated | None


def try_login(
    session: Session,
    username: str,
    password: str,
    remote_addr: str | None = None,
    request_id: str | None = None,
    check: PasswordCheck | None = None,
) -> LoginResult:
    """Check a password, count failures and lock with back-off. Never says whether it was the name or the password.

    `check` is believed as long as the record still has the hash it was made with.
    """
    settings = get_settings()
    moment = clock.now(session)
    user = session.scalar(select(User).where(User.username == username).with_for_update())
    if user is not None and user.locked_until is not None and user.locked_until > moment:
        wait = (user.locked_until - moment).total_seconds()
        return LoginResult(
            None,
            Locked(
                "too many wrong passwords for this account",
                next=f"wait {wait:.0f} s, or ask an administrator for a new password",
                detail={"retry_after_s": max(1, round(wait))},
            ),
        )
    stored = user.password_hash if user is not None else None
    if check is None or check.stored != stored:
        check = PasswordCheck(stored, secrets.verify_password(stored, password))
    right = check.right
    who = Actor(
        user.id if user else "unknown", username[:64], user.role if user else "none", None, remote_addr, request_id
    )
    if user is None or not right or user.disabled:
        if user is not None and not right:
            user.failed_logins += 1
            excess = user.failed_logins - settings.login_free_attempts
            if excess >= 0:
                pause = min(settings.login_lock_cap_s, settings.login_lock_base_s * 2 ** min(excess, 30))
                user.locked_until = moment + timedelta(seconds=pause)
        audit.record(session, who, "user.login", user.id if user else None, outcome="unauthenticated")
        return LoginResult(
            None,
            Unauthenticated("wrong username or password", code="wrong_credentials", next="check both and try again"),
        )
    user.failed_logins = 0
    user.locked_until = None
    user.last_login_at = moment
    if user.password_hash is not None and secrets.needs_rehash(user.password_hash):
        user.password_hash = secrets.hash_password(password)
    audit.record(session, who, "user.login", user.id)
    return LoginResult(who, None)


def actor_of(session: Session, user_id: str, issued_at: float | None = None) -> Actor:
    """The actor behind a signed access token; Unauthenticated when the account or its tokens are void.

    `issued_at` is the token's `iat` (seconds since the epoch).
    """
    user = session.get(User, user_id)
    if user is None or user.disabled:
        raise Unauthenticated("this account is gone or disabled", next="log in with another account")
    if issued_at is not None and user.tokens_valid_from is not None and issued_at < user.tokens_valid_from.timestamp():
        raise Unauthenticated("this login has ended", code="token_revoked", next="log in again")
    return Actor(user.id, user.username, user.role)


def end_logins(session: Session, actor: Actor) -> None:
    """Void every access and refresh token that was issued before now."""
    user = lookup.user(session, actor.id)
    user.tokens_valid_from = clock.now(session)
    audit.record(session, actor, "user.end_logins", user.id)


def quota_row(session: Session, user_id: str, lock: bool = False) -> UserQuota:
    """The user's ceilings, made from the defaults when there are none yet."""
    quota = session.get(UserQuota, user_id, with_for_update=lock or None, populate_existing=lock)
    if quota is None:
        settings = get_settings()
        quota = UserQuota(
            user_id=user_id,
            max_gpu_count=settings.default_max_gpu_count,
            max_memory_gb=settings.default_max_memory_gb,
            max_storage_gb=settings.default_max_storage_gb,
        )
        session.add(quota)
        session.flush()
    return quota


def quota_used(session: Session, user_id: str) -> dict[str, int]:
    """`{gpu_count, memory_gb, storage_gb}` of all allocations that count."""
    row = session.execute(
        select(
            func.coalesce(func.sum(Allocation.gpu_count), 0),
            func.coalesce(func.sum(Allocation.memory_gb), 0),
            func.coalesce(func.sum(Allocation.storage_gb), 0),
        ).where(Allocation.user_id == user_id, Allocation.status.in_(QUOTA_STATES))
    ).one()
    return dict(zip(("gpu_count", "memory_gb", "storage_gb"), map(int, row), strict=True))


def quota_usage(session: Session, actor: Actor, username: str | None = None) -> QuotaUsage:
    """One's own, or (staff) anybody's."""
    user = lookup.user(session, username or actor.id)
    if user.id != actor.id:
        actor.require("admin", "operator", "auditor", "automation")
    quota = session.get(UserQuota, user.id)
    settings = get_settings()
    used = quota_used(session, user.id)
    return QuotaUsage(
        quota.max_gpu_count if quota else settings.default_max_gpu_count,
        quota.max_memory_gb if quota else settings.default_max_memory_gb,
        quota.max_storage_gb if quota else settings.default_max_storage_gb,
        used["gpu_count"],
        used["memory_gb"],
        used["storage_gb"],
    )


def set_quota(session: Session, actor: Actor, username: str, **limits: int | None) -> UserQuota:
    """Set some of `max_gpu_count`, `max_memory_gb`, `max_storage_gb`; None lifts a ceiling. Administrators only."""
    actor.require("admin")
    user = lookup.user(session, username)
    quota = quota_row(session, user.id, lock=True)
    for name, value in limits.items():
        if name not in ("max_gpu_count", "max_memory_gb", "max_storage_gb"):
            raise Invalid(f"{name} is no quota", code="invalid_quota")
        if value is not None and value < 0:
            raise Invalid(f"{name} cannot be negative", code="invalid_quota")
        setattr(quota, name, value)
    audit.record(session, actor, "quota.set", user.id, dict(limits))
    return quota


def service_user(session: Session) -> User:
    """The account that jobs' tokens belong to, made on first use; nobody can log in with it."""
    query = select(User).where(User.username == SERVICE_USERNAME)
    user = session.scalar(query)
    if user is not None:
        return user
    try:
        with session.begin_nested():
            user = User(username=SERVICE_USERNAME, role="automation")
            session.add(user)
    except IntegrityError:  # another process made it at the same moment
        return session.scalars(query).one()
    return user


def mint_token(
    session: Session,
    actor: Actor,
    name: str,
    expires_in_s: float | None = None,
    workflow_id: str | None = None,
) -> MintedToken:
    """A new API token of the actor, or, with `workflow_id`, a job's token (role automation, that workflow only)."""
    if actor.workflow_id is not None:
        raise Invalid("a job's token cannot make tokens", code="forbidden")
    if expires_in_s is not None and expires_in_s <= 0:
        raise Invalid("expires_in_s must be positive", code="invalid_expiry")
    if not 1 <= len(name) <= 128:
        raise Invalid("a token's name has 1 to 128 characters", code="invalid_name")
    if workflow_id is not None:
        actor.require("admin", "automation")
        lookup.workflow(session, actor, workflow_id)
        owner = service_user(session)
    else:
        owner = lookup.user(session, actor.id)
    token = secrets.new_token()
    row = ApiToken(
        user_id=owner.id,
        name=name,
        token_hash=secrets.token_hash(token),
        workflow_id=workflow_id,
        expires_at=None if expires_in_s is None else clock.now(session) + timedelta(seconds=expires_in_s),
    )
    session.add(row)
    session.flush()
    audit.record(session, actor, "token.mint", row.id, {"name": name, "workflow_id": workflow_id})
    return MintedToken(row.id, token)


def verify_token(session: Session, token: str, remote_addr: str | None = None, request_id: str | None = None) -> Actor:
    """The actor behind an API token. Raises Unauthenticated when unknown, revoked, expired or the account disabled.

    A job's token ends with its workflow, and is good for `JOB_TOKEN_GRACE` after that.

    Works on a session that only reads; `touch_token` notes the use.
    """
    found = session.execute(
        select(ApiToken, User).join(User).where(ApiToken.token_hash == secrets.token_hash(token))
    ).one_or_none()
    if found is None:
        raise Unauthenticated(
            "this API token is not known", code="token_unknown", next="make a new one: POST /api/v1/tokens"
        )
    row, user = found
    if row.revoked_at is not None or user.disabled:
        raise Unauthenticated(
            "this API token was revoked", code="token_revoked", next="make a new one: POST /api/v1/tokens"
        )
    if row.expires_at is not None and row.expires_at <= clock.now(session):
        raise Unauthenticated(
            "this API token has expired", code="token_expired", next="make a new one: POST /api/v1/tokens"
        )
    own = session.get(Workflow, row.workflow_id) if row.workflow_id is not None else None
    if own is not None and own.status in WORKFLOW_ENDED and _long_over(own, clock.now(session)):
        raise Unauthenticated(
            f"the workflow of this token, {own.id}, is {own.status}", code="token_expired", next="stop this run"
        )
    return Actor(user.id, user.username, user.role, row.workflow_id, remote_addr, request_id)


def _long_over(workflow: Workflow, moment: datetime) -> bool:
    return workflow.completed_at is None or workflow.completed_at + JOB_TOKEN_GRACE <= moment


def touch_token(session: Session, token: str) -> None:
    """Note that a token was used, at most every five minutes."""
    row = session.scalar(select(ApiToken).where(ApiToken.token_hash == secrets.token_hash(token)))
    moment = clock.now(session)
    if row is not None and (row.last_used_at is None or moment - row.last_used_at > TOKEN_USE_RESOLUTION):
        row.last_used_at = moment


def revoke_token(session: Session, actor: Actor, token_id: str) -> ApiToken:
    """End a token of one's own, or (administrators) anybody's. Idempotent."""
    row = session.get(ApiToken, token_id)
    if row is None or (row.user_id != actor.id and actor.role not in ("admin", "automation")):
        raise lookup.missing("token", token_id)
    if actor.workflow_id is not None and row.workflow_id != actor.workflow_id:
        raise lookup.missing("token", token_id)
    if row.revoked_at is None:
        row.revoked_at = clock.now(session)
        audit.record(session, actor, "token.revoke", row.id)
    return row


def check_public_key(text: str) -> tuple[str, str]:
    """`(normalised line, SHA256:fingerprint)` of an OpenSSH public key. Raises Invalid for anything else."""
    parts = text.strip().split(None, 2)
    if "\n" in text.strip() or len(parts) < 2 or parts[0] not in SSH_KEY_TYPES:
        raise Invalid(
            "this is no OpenSSH public key",
            code="invalid_ssh_key",
            answer=f"types: {', '.join(SSH_KEY_TYPES)}",
            next="paste one line of the .pub file; options in front of it are not accepted",
        )
    try:
        blob = base64.b64decode(parts[1], validate=True)
        (length,) = struct.unpack(">I", blob[:4])
        inner = blob[4 : 4 + length].decode()
    except (ValueError, struct.error) as error:
        raise _damaged(str(error)) from error
    if inner != parts[0] or len(blob) <= 4 + length:
        raise _damaged("its inside is not of the type it says")
    digest = base64.b64encode(hashlib.sha256(blob).digest()).rstrip(b"=").decode()
    return " ".join(parts), f"SHA256:{digest}"


def _damaged(answer: str) -> Invalid:
    return Invalid(
        "the public key is damaged",
        code="invalid_ssh_key",
        answer=answer,
        next="copy the whole line of the .pub file; `ssh-keygen -l -f FILE` says whether it is well",
    )


def add_ssh_key(session: Session, actor: Actor, name: str, public_key: str) -> SshKey:
    """One more key of the actor's own. Raises Invalid, Conflict (name or key is there already)."""
    line, fingerprint = check_public_key(public_key)
    if not 1 <= len(name) <= 128:
        raise Invalid("a key's name has 1 to 128 characters", code="invalid_name")
    twin = session.scalar(
        select(SshKey).where(SshKey.user_id == actor.id, (SshKey.name == name) | (SshKey.fingerprint == fingerprint))
    )
    if twin is not None:
        raise Conflict(
            f"there is a key {twin.name} ({twin.fingerprint}) already",
            code="already_exists",
            next="use it, or delete it first",
            detail={"ssh_key_id": twin.id},
        )
    key = SshKey(user_id=actor.id, name=name, public_key=line, fingerprint=fingerprint)
    session.add(key)
    session.flush()
    audit.record(session, actor, "ssh_key.add", key.id, {"name": name, "fingerprint": fingerprint})
    return key


def delete_ssh_key(session: Session, actor: Actor, key_id: str) -> None:
    """Delete a key of one's own; servers that have it keep it."""
    key = session.get(SshKey, key_id)
    if key is None or key.user_id != actor.id:
        raise NotFound(f"you have no SSH key {key_id}", next="look at GET /api/v1/ssh-keys")
    session.delete(key)
    audit.record(session, actor, "ssh_key.delete", key_id, {"name": key.name})
