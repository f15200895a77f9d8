"""A BMC of a vendor that nobody knows: the modules work by the specification, or say which resource was missing."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager

import pytest

from lab.replay import Tree, manners
from lab.replay.tree import ROOT, Body
from tests.conformance.operations import OPERATIONS, Operation, Subject, attempt
from tests.conformance.results import NAMED
from tests.conformance.sources import CAPTURES, replayed, unlock
from tests.support.replaying import capture

_strangers: dict[str, Tree] = {}

# What no client can do that does not know the vendor, and the code of the error that says so
VENDORS_OWN = {
    # AMI changes an account for If-Match: * only, whatever the account's ETag says
    ("nvidia_viking", "accounts: create, change, remove"): "precondition_failed",
}


def stranger(name: str) -> Tree:
    """A capture in which nothing says whose it is: no Vendor, no Product, no Oem."""
    if name not in _strangers:
        known = capture(name)
        files = {path: raw for path in known if (raw := known.raw(path)) is not None}
        for path, raw in files.items():
            if known.get(path) is None:
                continue
            body = _without_oem(json.loads(raw))
            for said in ("Vendor", "Product", "Manufacturer"):
                body.pop(said, None)
            files[path] = json.dumps(body).encode()
        _strangers[name] = Tree(files)
    return _strangers[name]


def _without_oem(value: object) -> Body:
    if isinstance(value, dict):
        return {name: _without_oem(part) for name, part in value.items() if name != "Oem"}
    return [_without_oem(part) for part in value] if isinstance(value, list) else value  # type: ignore[return-value]


def served(name: str) -> AbstractContextManager[Subject]:
    """The stranger behaves as its vendor's firmware does, and does not say so."""
    return replayed(stranger(name), unlock, behaves=manners.of(capture(name).get(ROOT) or {}))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id.replace(" ", "_"))
@pytest.mark.parametrize("name", CAPTURES)
def test_it_works_generically_or_names_what_is_missing(name: str, operation: Operation) -> None:
    if not operation.available:
        pytest.skip(f"there is no module {operation.module}")
    with served(name) as subject:
        found = attempt(operation, subject)
    if code := VENDORS_OWN.get((name, operation.id)):
        assert (found.outcome, found.detail.split(":")[0]) == ("fails", code), found.detail
        return
    assert found.outcome != "fails", found.detail
    if found.outcome == "unsupported":
        assert NAMED.search(found.detail), f"{found.detail!r} names nothing"


@pytest.mark.parametrize("name", CAPTURES)
def test_power_boot_and_bios_need_no_profile(name: str) -> None:
    with served(name) as subject:
        assert subject.info("capabilities")["capabilities"]["profile"] == "generic"
        for wanted in ("power: off", "power: cycle", "boot: pxe once", "boot: order", "BIOS: a boot applies it"):
            operation = next(one for one in OPERATIONS if one.id == wanted)
            with served(name) as fresh:
                found = attempt(operation, fresh)
            assert found.outcome == "works", f"{wanted}: {found.detail}"
