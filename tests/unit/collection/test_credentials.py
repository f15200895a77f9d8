"""Where credentials are kept: references to the service, the environment and Vault, and the change of a password."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils import errors
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.service import credential_change, credentials

V1 = "/api/v1"


def test_references_are_resolved_once_each(talk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARE", "root:t0p:secret")
    talk.expect("GET", f"{V1}/servers/gpu-01/credential", answer={"username": "admin", "password": "s3cret"})
    params = talk.params(
        bmcs=[
            {"address": "a", "credential": "service:gpu-01"},
            {"address": "b", "credential": "service:gpu-01"},
            {"address": "c", "credential": "env:SPARE"},
            {"address": "d", "username": "u", "password": "p"},
        ]
    )
    assert credentials.resolve_credentials(params) == {"s3cret", "t0p:secret"}
    assert [(each["username"], each["password"]) for each in params["bmcs"]] == [
        ("admin", "s3cret"),
        ("admin", "s3cret"),
        ("root", "t0p:secret"),
        ("u", "p"),
    ]


def test_a_reference_that_leads_nowhere_is_the_failure_of_its_own_bmc(talk: Any) -> None:
    talk.problem("GET", f"{V1}/servers/gpu-01/credential", 404, "no_credential", host="gpu-01")
    talk.expect("GET", f"{V1}/servers/gpu-02/credential", answer={"username": "admin", "password": "s3cret"})
    talk.problem("GET", f"{V1}/servers/gpu-03/credential", 500, "secret_unreadable", host="gpu-03")
    references = ["service:gpu-01", "service:gpu-02", "service:gpu-03", "env:NOT_SET"]
    params = talk.params(bmcs=[{"address": "10.0.0.1", "credential": each} for each in references])
    assert credentials.resolve_credentials(params) == {"s3cret"}
    first, second, third, last = params["bmcs"]
    for entry, code in ((first, "no_credential"), (third, "secret_unreadable"), (last, "credential_not_set")):
        with pytest.raises(errors.PaleBlueDotError) as caught:
            open_bmc(entry, prefix="")
        assert caught.value.code == code
    open_bmc(second, prefix="").close()
    # to be resolved once more where the module really runs: there it says the same
    credentials.drop_references(params)
    assert [entry.get("credential") for entry in params["bmcs"]] == [
        "service:gpu-01",
        None,
        references[2],
        "env:NOT_SET",
    ]
    assert set(first) == {"address", "credential"}


@pytest.mark.parametrize(("status", "code"), [(401, "unauthenticated"), (403, "forbidden"), (500, "internal_error")])
def test_a_service_that_answers_nobody_is_the_failure_of_all(talk: Any, status: int, code: str) -> None:
    talk.problem("GET", f"{V1}/servers/gpu-01/credential", status, code)
    with pytest.raises(errors.PaleBlueDotError) as caught:
        credentials.resolve_credentials(talk.params(bmcs=[{"address": "a", "credential": "service:gpu-01"}]))
    assert caught.value.code == code


def test_a_switch_has_a_route_of_its_own(talk: Any) -> None:
    talk.expect("GET", f"{V1}/switches/leaf-03/credential", answer={"username": "admin", "password": "s3cret"})
    params = talk.params(switch_credential="service:switch/leaf-03", switch_username="somebody")
    credentials.resolve_credentials(params)
    assert (params["switch_username"], params["switch_password"]) == ("admin", "s3cret")


def test_an_explicit_password_wins(talk: Any) -> None:
    params = talk.params(bmc_credential="service:gpu-01", bmc_username="u", bmc_password="p")
    assert credentials.resolve_credentials(params) == set()
    assert params["bmc_password"] == "p"


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("nonsense", "credential_reference_unknown"),
        ("env:NOT_SET", "credential_not_set"),
    ],
)
def test_references_that_lead_nowhere(reference: str, code: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        credentials.resolve_credentials({"bmc_credential": reference})
    assert caught.value.code == code


@pytest.fixture
def vault(talk: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A Vault whose key/value engine (version 2) is mounted at ``kv``: what it is asked and what it answers."""
    monkeypatch.setenv("VAULT_ADDR", talk.url)
    monkeypatch.setenv("VAULT_TOKEN", "hvs.t0ken")
    monkeypatch.setenv("HOME", str(tmp_path))  # no ~/.vault-token
    return talk


SECRET = "/v1/kv/data/bmc/gpu-01"


def test_a_secret_of_vault(vault: Any) -> None:
    kept = {"data": {"username": "admin", "password": "s3cret"}, "metadata": {"version": 3}}
    asked = vault.expect("GET", SECRET, answer={"request_id": "1", "data": kept})
    params = {"bmc_credential": "vault:kv/bmc/gpu-01"}
    assert credentials.resolve_credentials(params) == {"s3cret"}
    assert (params["bmc_username"], params["bmc_password"]) == ("admin", "s3cret")
    assert asked.seen_headers["X-Vault-Token"] == "hvs.t0ken"


@pytest.mark.parametrize(
    ("status", "answer", "kind", "code"),
    [
        (404, {"errors": []}, errors.NotFound, "credential_not_set"),
        (404, {"data": {"data": None, "metadata": {"deletion_time": "2026-11-21T10:00:00Z"}}}, errors.NotFound, None),
        (403, {"errors": ["permission denied"]}, errors.AuthenticationError, "authentication_failed"),
        (503, {"errors": ["Vault is sealed"]}, errors.Unreachable, "unreachable"),
        (None, None, errors.Unreachable, "unreachable"),
        (200, {"data": {"data": {"password": "s3cret"}}}, errors.InvalidInput, "credential_not_set"),
        (200, {"data": None}, errors.InvalidInput, "credential_not_set"),
    ],
)
def test_a_vault_that_gives_nothing(
    vault: Any, status: int | None, answer: Any, kind: type[errors.PaleBlueDotError], code: str | None
) -> None:
    vault.expect("GET", SECRET, status, answer)
    with pytest.raises(kind) as caught:
        credentials.resolve_credentials({"bmc_credential": "vault:kv/bmc/gpu-01"})
    told = str(caught.value)
    assert "kv/bmc/gpu-01" in told or SECRET in told
    assert code in (None, caught.value.code)
    assert caught.value.next
    assert "s3cret" not in told and "t0ken" not in told


def test_a_path_that_vault_keeps_shut_is_no_failure_of_the_others(vault: Any) -> None:
    vault.expect("GET", SECRET, 403, {"errors": ["permission denied"]})
    vault.expect("GET", "/v1/kv/data/bmc/gpu-02", answer={"data": {"data": {"username": "u", "password": "p4ss"}}})
    params = {"bmcs": [{"credential": "vault:kv/bmc/gpu-01"}, {"credential": "vault:kv/bmc/gpu-02"}]}
    assert credentials.resolve_credentials(params) == {"p4ss"}
    assert params["bmcs"][0][credentials.PROBLEM]["code"] == "authentication_failed"  # type: ignore[index]
    assert params["bmcs"][1]["password"] == "p4ss"


def test_a_vault_that_nobody_named(vault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for reference, code in (("vault:kv", "credential_reference_unknown"), ("vault:", "credential_reference_unknown")):
        with pytest.raises(errors.InvalidInput) as caught:
            credentials.resolve_credentials({"bmc_credential": reference})
        assert caught.value.code == code
    for name in ("VAULT_TOKEN", "VAULT_ADDR"):
        monkeypatch.delenv(name)
        with pytest.raises(errors.InvalidInput) as caught:
            credentials.resolve_credentials({"bmc_credential": "vault:kv/bmc/gpu-01"})
        assert caught.value.code == "vault_not_configured"


def test_without_a_service_a_service_reference_says_what_is_missing() -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        credentials.resolve_credentials({"bmc_credential": "service:gpu-01", "api_url": None})
    assert caught.value.code == "service_not_configured"


def test_a_credential_does_not_print_its_password() -> None:
    assert "s3cret" not in repr(credentials.Credential("admin", "s3cret"))


@pytest.mark.parametrize(
    ("age_days", "changed"), [(None, True), (91, True), (89, False)], ids=["never changed", "due", "fresh"]
)
def test_check_mode_foretells_whether_a_password_is_due(talk: Any, age_days: int | None, changed: bool) -> None:
    rotated = None if age_days is None else datetime.now(UTC) - timedelta(days=age_days)
    rotated_at = rotated and rotated.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    kept = {"username": "root", "password": "old", "rotated_at": rotated_at, "proposal": None}
    talk.expect("GET", f"{V1}/servers/gpu-01/credential", 200, kept)
    params = talk.params(name="gpu-01", phase="propose", proposal=None, older_than_days=90)
    planned = credential_change.run(params, True)
    assert planned["changed"] is changed and planned["credential"]["pending"] is changed
