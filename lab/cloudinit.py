"""What cloud-init does on the first boot of an installed system, as far as anybody outside can see it.

Understood of a cloud-config: ``hostname``, ``fqdn``, ``users`` with ``ssh_authorized_keys``, top-level
``ssh_authorized_keys`` (for the image's default user) and ``phone_home``. ``packages``, ``runcmd`` and the rest change
nothing that the lab shows and are passed over.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import yaml

logger = logging.getLogger(__name__)

DEFAULT_USER = "ubuntu"
PHONE_HOME_TRIES = 10  # cloud-init's default
PHONE_HOME_PAUSE_S = 3.0  # and its pause between tries
CALL_TIMEOUT_S = 5.0
PHONE_HOME_FIELDS = (
    "pub_key_rsa",
    "pub_key_ecdsa",
    "pub_key_ed25519",
    "instance_id",
    "hostname",
    "fqdn",
)


class UserDataError(ValueError):
    """The user data is no cloud-config that can be read."""


@dataclass(frozen=True)
class PhoneHome:
    url: str
    post: tuple[str, ...] = PHONE_HOME_FIELDS
    tries: int = PHONE_HOME_TRIES


@dataclass(frozen=True)
class CloudConfig:
    hostname: str | None = None
    fqdn: str | None = None
    authorized_keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    phone_home: PhoneHome | None = None


def parse(user_data: str) -> CloudConfig:
    """Read a cloud-config document. Raises UserDataError; something other than a cloud-config is an empty one."""
    if not user_data.lstrip().startswith("#cloud-config"):
        return CloudConfig()
    try:
        document = yaml.safe_load(user_data) or {}
    except yaml.YAMLError as error:
        raise UserDataError(f"user data is no YAML: {error}") from error
    if not isinstance(document, dict):
        raise UserDataError("user data is no mapping")
    return CloudConfig(
        hostname=_text(document.get("hostname")),
        fqdn=_text(document.get("fqdn")),
        authorized_keys=_authorized_keys(document),
        phone_home=_phone_home(document.get("phone_home")),
    )


def _text(value: Any) -> str | None:
    return str(value) if value else None


def _strings(value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _authorized_keys(document: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Keys by user name; a user without keys is there and cannot log in."""
    common = _strings(document.get("ssh_authorized_keys"))
    keys: dict[str, tuple[str, ...]] = {}
    for user in document.get("users") or ["default"]:
        if user == "default":
            keys[DEFAULT_USER] = common
        elif isinstance(user, dict) and user.get("name"):
            keys[str(user["name"])] = _strings(user.get("ssh_authorized_keys"))
    return keys


def _phone_home(value: Any) -> PhoneHome | None:
    if not isinstance(value, dict) or not value.get("url"):
        return None
    post = value.get("post", "all")
    tries = value.get("tries", PHONE_HOME_TRIES)
    return PhoneHome(
        url=str(value["url"]),
        post=PHONE_HOME_FIELDS if post == "all" else _strings(post),
        tries=tries if isinstance(tries, int) and tries > 0 else PHONE_HOME_TRIES,
    )


async def post_report(phone_home: PhoneHome, facts: dict[str, str]) -> None:
    """One call home: the wanted facts, form-encoded, as cloud-init sends them. Raises aiohttp.ClientError or
    TimeoutError."""
    form = {name: facts.get(name, "N/A") for name in phone_home.post}
    url = phone_home.url.replace("$INSTANCE_ID", facts.get("instance_id", ""))
    timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.post(url, data=form) as response:
        response.raise_for_status()
