"""Other names for what identifies a machine, its place or its people: the same value always gets the same other one.

What is hidden is found in three ways: by the property that holds it (SerialNumber, UserName, Password …), by its form
(MAC, UUID, EUI-64, IP address, mail address, certificate), and by having been found elsewhere: a serial number is also
replaced in paths, ids and messages. Length, case and punctuation stay; the maker's half of a MAC stays.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import re
import secrets
from pathlib import Path
from typing import Any

_HEX = "0123456789abcdef"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"

# The last word of a property's name (iDRAC writes Users.2.UserName) that says what its value is.
_IDENTITY = re.compile(
    r"(serial(number|no|num)?s?|servicetag|expressservicecode|serviceidentification|asset(tag|number)|durablename|nodeid"
    r"|ww[np]?n|worldwide\w*name|guids?|nguid|eui|ppid|identifyingnumber|licen[cs]ekey|entitlementid|uuid"
    r"|macaddress(es)?|permanentaddress|barcodes?|(?-i:(?<![A-Z])SN))$",
    re.I,
)
_NAME = re.compile(
    r"(username|loginname|email(address)?|phone(number)?|contact(name)?|owner(name)?|adminname|adminphone|adminemail"
    r"|(bind|base|root|search|user|group|role)dn|distinguishednames?|hostname|fqdn|domainname|dns\w*name|servername|certcommonname|commonname|racname)$",
    re.I,
)
_SECRET = re.compile(
    r"(password|passwd|passphrase|pwd|secret|token|community(name|string)?|psk|privatekey|authenticationkey|encryptionkey|apikey|accesskey|sessionkey|publickey|hostkey"
    r"|(access|pass|unlock|recovery|activation|security)code"
    r"|hash|salt|credentials?|pin|keystring|certificatestring|licen[cs]estring)$",
    re.I,
)
_USER = re.compile(r"(username|loginname|adminname|contact(name)?|owner(name)?)$", re.I)
_PLACE = re.compile(
    r"^((subject|issuer|csr)?(city|locality(name|l)?|cityorlocality|organi[sz]ation(al)?(unit)?(name|o|ou)?)"
    r"|(sys|system|snmp|server|rack|host|datacenter)location|street(name|number)?|housenumber|postalcode"
    r"|(room|rack|row|aisle|datacenter|building|site)(name)?|info)$",  # Location.Info
    re.I,
)
# Whatever text these hold says where a machine stands and whose it is.
_PLACES = frozenset({"postaladdress", "placement", "subject", "issuer"})
_PROSE = re.compile(r"(message|messageargs|text|description|comments?|originator|details?)$", re.I)
_ADDRESS = re.compile(r"(address(es)?|gateway|server(s|addresses)?|destination|ip)$", re.I)
_VERSION = re.compile(r"version|revision|firmware|@odata\.type|registry|driver|build|release|software|bios", re.I)
_LINKS = ("/redfish/", "/rest/")

_PEM = re.compile(r"-----BEGIN [A-Z ]+-----(.+?)-----END [A-Z ]+-----", re.S)
_UUID = re.compile(r"(?<![0-9A-Fa-f-])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Fa-f-])")
# a MAC has six pairs, an EUI-64 eight; a DUID ends in a MAC, a fingerprint has 20 or 32
_PAIRS = re.compile(
    r"(?<![0-9A-Fa-f:-])[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4,}(?![0-9A-Fa-f:-])"
)
_DOTTED = re.compile(
    r"(?<![0-9A-Za-z.])(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}(?!\.?[0-9A-Za-z])"
)  # a MAC as Cisco's write it
_BARE_MAC = re.compile(r"[0-9A-Fa-f]{12}")
_IQN = re.compile(r"(?<=\biqn\.)[0-9]{4}-[0-9]{2}\.[A-Za-z0-9.:_-]+", re.I)
_MAC_IN_PATH = re.compile(r"(?<=MAC\()[0-9A-Fa-f]{12}")
_IPV6 = re.compile(r"(?<![0-9A-Za-z:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![0-9A-Za-z:.])")
_IPV4 = re.compile(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.])")
_MAIL = re.compile(r"[A-Za-z0-9._%+-]+@(?!Redfish\.|odata\.|Message\.)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_TOKEN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.@+-]*[A-Za-z0-9])?")

# What a sentence calls a serial number is one
_TOLD = re.compile(
    r"(?:\bserial\s*(?:number|num|no)|\bs/n|\bservice\s*tag|\basset\s*tag)\b[\s.:=#]*(?:is\s+)?"
    r"([\"'(\[]?)((?=[A-Z-]*[0-9])[A-Z0-9][A-Z0-9-]{4,})",
    re.I,
)

# Properties that name the value beside them: {"Name": "SerialNumber", "Value": ...}
_NAMING = ("Name", "Key", "AttributeName", "PropertyName")
_NAMED = frozenset({"Value", "CurrentValue", "DefaultValue", "Values"})

# Values that say nothing of anybody, in whatever property they stand.
_ORDINARY = frozenset(
    {
        *("root", "admin", "administrator", "operator", "user", "guest", "userid", "anonymous", "password", "public"),
        *("administrators", "operators", "users"),
        *("username", "loginname", "hostname", "string", "manager"),
        *("none", "null", "unknown", "n/a", "na", "not", "notavailable", "empty", "no", "yes", "ok", "true", "false"),
        *("enabled", "disabled", "enable", "disable", "default", "auto", "manual", "static", "dhcp", "localhost"),
        *("unlocked", "locked", "set", "notset", "private", "system", "bios", "bmc", "sha1", "sha256", "md5", "aes"),
    }
)
SHORTEST = 5  # a value found by its property is looked for elsewhere from this length on
INSIDE = 7  # from this length on it is also replaced as a part of a longer word


class StillThere(Exception):
    """Something that was to be hidden stands in what has been written."""


class Pseudonyms:
    """:param key: what makes the mapping: keep it to go on with the same one; None: a new one."""

    def __init__(self, key: bytes | None = None) -> None:
        self.key = key or secrets.token_bytes(32)
        self._known: dict[str, str] = {}  # lower case without separators → what kind it is: hex or text
        self._tokens: dict[str, str] = {}
        self._sorted: list[str] = []
        self._phrases: dict[str, bool] = {}  # lower case → whether also as a part of a word
        self._users: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._users_pattern: re.Pattern[str] | None = None
        self._certain: dict[str, bool] = {}  # what may be in no file, as in _phrases
        self._addresses: set[str] = set()

    # -- learning

    def hide(self, *values: str | None) -> None:
        """Hide these wherever they stand, whatever they are: from two characters on, short ones as words."""
        for value in values:
            value = (value or "").strip()
            if len(value) > 1:
                self._learn(value)
                self._phrases[value.lower()] = self._certain[value.lower()] = len(value) >= SHORTEST
                self._addresses.update(_IPV4.findall(value))
        self._pattern = None
        self._tokens.clear()

    def login(self, *values: str) -> None:
        """Hide how the BMC was reached, but for what every factory calls it."""
        self.hide(*(value for value in values if not _ordinary(value)))

    def learn(self, body: Any) -> None:
        """Find what has to be hidden in a body."""
        self._visit(body, "")
        self._tokens.clear()

    def _visit(self, value: Any, name: str, place: bool = False) -> None:
        if isinstance(value, dict):
            for key, part in value.items():
                self._visit(part, _called(str(key), value), place or _last(str(key)).lower() == "postaladdress")
        elif isinstance(value, list):
            for part in value:
                self._visit(part, name, place)
        elif isinstance(value, int) and not isinstance(value, bool):
            if _numbered(_last(name)) and value >= 0:
                self._learn(str(value), certain=True)
        elif isinstance(value, str) and value:
            last = _last(name)
            if place or _IDENTITY.search(last) or _NAME.search(last) or _SECRET.search(last):
                self._learn(value, certain=_IDENTITY.search(last) is not None)
            if _USER.search(last) and len(value.strip()) > 1 and not _ordinary(value):
                self._users.add(value.strip().lower())
                self._users_pattern = None
            # without colons only the name of what holds it tells a MAC from a number
            if "mac" in last.lower() and _BARE_MAC.fullmatch(value):
                self._learn(value, certain=True)
            if _ADDRESS.search(last):
                self._addresses.update(_IPV4.findall(value))
            for pattern in (_UUID, _PAIRS):
                for match in pattern.finditer(value):
                    self._learn(match[0], certain=True)
            for match in _DOTTED.finditer(value):
                if "mac" in last.lower() or not match[0].replace(".", "").isdigit():  # else it may be a version
                    self._learn(match[0].replace(".", ":"), certain=True)
            for match in _TOLD.finditer(value):
                self._learn(match[2], certain=True)

    def _learn(self, value: str, certain: bool = False) -> None:
        value = value.strip()
        if len(value) < SHORTEST or _ordinary(value) or value.startswith(_LINKS) or "-----BEGIN" in value:
            return
        if len(value) < 8 and value.isascii() and value.isalpha() and (value.islower() or value.istitle()):
            return  # a word
        bare = re.sub(r"[:-]", "", value).lower()
        is_hex = len(bare) in (12, 16, 32) and re.fullmatch(r"[0-9a-f]+", bare) is not None
        if set(bare) <= {"0"} or set(bare) <= {"f"}:
            return  # it is not set
        if certain:
            self._certain.setdefault(value.lower(), len(value) >= INSIDE)
        if not any(form.fullmatch(value) for form in (_TOKEN, _UUID, _PAIRS)):
            self._phrases.setdefault(value.lower(), len(value) >= INSIDE)
            self._pattern = None
            if is_hex:
                self._known[bare] = "hex"
            elif " " not in value:
                for part in re.split(r"[/\\=:,;|]", value):
                    if part != value:
                        self._learn(part)
            return
        self._known[value.lower()] = "hex" if is_hex else "text"
        if is_hex:
            self._known[bare] = "hex"
        self._sorted = []

    def check(self, folder: Path) -> None:
        """Raises StillThere, with the file, where a hidden value, a serial number, MAC or UUID is left in a capture."""
        sought = {form: inside for value, inside in self._certain.items() for form in (value, _escaped(value))}
        for file in sorted(folder.rglob("*")):
            if not file.is_file() or file.name in ("time.json", "README"):
                continue
            place = str(file.relative_to(folder))
            text = f"{place}\n{file.read_text()}".lower()
            for value, inside in sought.items():
                if value in text and (inside or _any_of({value: False}).search(text)):
                    raise StillThere(f"{place} still holds something that was to be hidden, of {len(value)} characters")

    # -- replacing

    def body(self, body: Any, name: str = "", place: bool = False) -> Any:
        """A copy in which everything known or recognised is another value."""
        if isinstance(body, dict):
            return {
                self.text(str(key), addresses=False): self.body(
                    value,
                    _called(str(key), body),
                    (place or _last(str(key)).lower() in _PLACES) and str(key) != "Links",
                )
                for key, value in body.items()
            }
        if isinstance(body, list):
            return [self.body(part, name, place) for part in body]
        last = _last(name)
        if isinstance(body, int) and not isinstance(body, bool):
            digits = str(body)
            known = digits in self._certain and (len(digits) >= INSIDE or not self._certain[digits])
            return int(self._like(digits)) if body > 9 and (_numbered(last) or known) else body
        if isinstance(body, str) and body:
            if body.startswith(_LINKS):
                return self.text(body, public=False)
            if _SECRET.search(last) and not _ordinary(body):
                return _PEM.sub(self._pem, body) if "-----BEGIN" in body else self._like(body)
            located = _PLACE.search(last) or (place and not name.startswith("@") and not last.startswith("Country"))
            if located and not _ordinary(body) and body.lower() not in self._known:
                return self._like(body)
            named = (_IDENTITY.search(last) or _NAME.search(last)) and not _ordinary(body)
            if named and body.lower() not in self._known and body.lower() not in self._phrases:
                return self.text(body) if self._has_form(body) else self._like(body)
            if _PROSE.search(last):
                if self._users_pattern is None:
                    self._users_pattern = _any_of(dict.fromkeys(self._users, False))
                body = self._users_pattern.sub(lambda match: self._like(match[0]), body)
            version = bool(_VERSION.search(name.split(".")[-1]) or _VERSION.search(last))
            address = bool(_ADDRESS.search(last))
            return self.text(
                body, addresses=not version or address, public=address or last.lower() not in ("id", "uri")
            )
        return body

    def text(self, text: str, addresses: bool = True, public: bool = False) -> str:
        """A string with everything known or recognised replaced.

        :param public: four numbers with dots are an address also where they are no private one, and no version.
        """
        text = _PEM.sub(self._pem, text)
        if self._pattern is None:
            self._pattern = _any_of(self._phrases)
        text = self._pattern.sub(lambda match: self._phrase(match[0]), text)
        text = _UUID.sub(lambda match: self._hex(match[0]), text)
        text = _PAIRS.sub(lambda match: self._pairs(match[0]), text)
        text = _DOTTED.sub(lambda match: self._dotted(match[0]), text)
        text = _IQN.sub(lambda match: self._like(match[0]), text)
        text = _MAC_IN_PATH.sub(lambda match: self._hex(match[0]), text)
        if addresses:
            text = _IPV6.sub(lambda match: self._ipv6(match[0]), text)
            text = _IPV4.sub(lambda match: self._ipv4(match[0], public), text)
        text = _MAIL.sub(lambda match: self._like(match[0]), text)
        return _TOKEN.sub(lambda match: self._token(match[0]), text)

    def _has_form(self, value: str) -> bool:
        return any(pattern.search(value) for pattern in (_UUID, _PAIRS, _IPV4, _IPV6))

    def _phrase(self, phrase: str) -> str:
        bare = re.sub(r"[:-]", "", phrase).lower()
        return self._hex(phrase) if self._known.get(bare) == "hex" else self._like(phrase)

    def _token(self, token: str) -> str:
        if token not in self._tokens:
            self._tokens[token] = self._known_in(token)
        return self._tokens[token]

    def _known_in(self, token: str) -> str:
        if not self._sorted:
            self._sorted = sorted(self._known, key=len, reverse=True)
        lowered = token.lower()
        for known in self._sorted:
            if len(known) > len(lowered):
                continue
            start = lowered.find(known)
            while start >= 0:
                end = start + len(known)
                # a short one has to stand for itself; a long one may be part of a name (ILO + serial number)
                alone = not lowered[start - 1 : start].isalnum() and not lowered[end : end + 1].isalnum()
                if alone or len(known) >= INSIDE:
                    found = token[start:end]
                    other = self._hex(found) if self._known[known] == "hex" else self._like(found)
                    return self._known_in(token[:start]) + other + self._known_in(token[end:])
                start = lowered.find(known, end)
        return token

    # -- other values of the same form

    def _digest(self, text: str) -> bytes:
        """As many bytes as are asked for in one value, and the same for every way of writing it."""
        mac = hmac.new(self.key, text.encode(), hashlib.sha512).digest()
        return mac * (len(text) // len(mac) + 1)

    def _like(self, value: str) -> str:
        """Letters for letters, digits for digits; other characters stay."""
        salt = 0
        while True:
            digest = self._digest(f"{value.lower()}\0{salt}")
            other = "".join(map(_alike, value, digest))
            if other != value or not any(character.isalnum() for character in value):
                return other
            salt += 1

    def _hex(self, value: str) -> str:
        """Hexadecimal digits for such digits; of a MAC the first three bytes stay, they are the maker's."""
        bare = re.sub(r"[^0-9A-Fa-f]", "", value).lower()
        if set(bare) <= {"0"} or set(bare) <= {"f"}:
            return value
        digest = iter(self._digest(bare))
        kept = 6 if len(bare) == 12 else 0
        result, position = [], 0
        for character in value:
            if character.lower() not in _HEX:
                result.append(character)
                continue
            byte = next(digest)
            other = character if position < kept else _HEX[byte % 16]
            result.append(
                other.upper() if character.isupper() or (other.isalpha() and value.upper() == value) else other
            )
            position += 1
        return "".join(result)

    def _pairs(self, value: str) -> str:
        if len(value) in (17, 23):
            return self._hex(value)
        return self._hex(value[:-17]) + self._hex(value[-17:])

    def _dotted(self, value: str) -> str:
        return self._hex(value) if self._known.get(value.replace(".", "").lower()) == "hex" else value

    def _ipv4(self, value: str, public: bool) -> str:
        """An address of 10.0.0.0/8; one network stays one. Masks, loopback, and what is a version, stay."""
        try:
            address = ipaddress.IPv4Address(value)
        except ValueError:
            return value
        if address.is_loopback or address.is_unspecified or address.is_multicast or value.startswith("255."):
            return value
        if not public and not address.is_private and value not in self._addresses:
            return value
        network, host = value.rsplit(".", 1)
        a, b = self._digest(network)[:2]
        return f"10.{a}.{b}.{host if host in ('0', '1', '254', '255') else 2 + self._digest(value)[0] % 250}"

    def _ipv6(self, value: str) -> str:
        try:
            address = ipaddress.IPv6Address(value)
        except ValueError:
            return value
        if address.is_loopback or address.is_unspecified or address.is_multicast:
            return value
        digest = iter(self._digest(address.exploded))
        first, colon, rest = value.partition(":")
        if not address.is_link_local:
            first = "fd00"[: len(first)] if first else first
        return first + colon + "".join(c if c == ":" else _HEX[next(digest) % 15 + 1] for c in rest)

    def _pem(self, match: re.Match[str]) -> str:
        return match[0].replace(match[1], self._like(match[1]))


def _called(key: str, holder: dict[str, Any]) -> str:
    """The name of a property, or of what it is the value of."""
    name = next((holder[each] for each in _NAMING if isinstance(holder.get(each), str)), "") if key in _NAMED else ""
    return name or key


def _last(name: str) -> str:
    """The last word of a property's name, as one word (FRUs write ``Serial number``), of a list that of its items."""
    return re.sub(r"(?<=.)List$", "", re.sub(r"[\W_]", "", name.split(".")[-1]))


def _numbered(last: str) -> bool:
    return bool(_IDENTITY.search(last) or _SECRET.search(last))


def _ordinary(value: str) -> bool:
    return re.sub(r"[\W_]", "", value).lower() in _ORDINARY


def _escaped(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]


def _any_of(values: dict[str, bool]) -> re.Pattern[str]:
    """The longest first; those that are no part of a word have to stand for themselves."""
    if not values:
        return re.compile(r"(?!)")
    parts = (
        re.escape(value) if values[value] else rf"(?<![^\W_]){re.escape(value)}(?![^\W_])"
        for value in sorted(values, key=len, reverse=True)
    )
    return re.compile("|".join(parts), re.I)


def _alike(character: str, byte: int) -> str:
    if character.isdigit():
        return str(byte % 10) if character == "0" else str(1 + byte % 9)  # a number keeps its length
    if character.isalpha():
        other = _LETTERS[byte % 26]
        return other.upper() if character.isupper() else other
    return character
