"""Changing a BMC's password in two phases, and what is on record when somebody breaks off in between."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select

from fleet import clock, errors, secrets
from fleet.actor import SYSTEM, Actor
from fleet.models import AuditEntry, Credential
from fleet.operations import credentials, register, users
from fleet.operations.credentials import Proposal, Secret
from tests.component.fleet.support import Site, fleet_document


def propose(site: Site, server: str = "gpu-01", actor: Actor = SYSTEM, **wanted: Any) -> Secret:
    with site.database.transaction() as session:
        return credentials.propose(session, actor, server, Proposal(**wanted))


def confirm(site: Site, proposal: str, server: str = "gpu-01", actor: Actor = SYSTEM) -> Secret:
    with site.database.transaction() as session:
        return credentials.confirm(session, actor, server, proposal)


def withdraw(site: Site, proposal: str, server: str = "gpu-01") -> Secret:
    with site.database.transaction() as session:
        return credentials.withdraw(session, SYSTEM, server, proposal)


def read(site: Site, server: str = "gpu-01") -> Secret:
    with site.database.transaction() as session:
        return credentials.of_server(session, SYSTEM, server)


def actions(site: Site) -> list[str]:
    with site.database.reading() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.at)).all()
        return [row.action for row in rows if row.action.startswith("credential.") and row.action != "credential.read"]


def test_both_passwords_are_on_record_between_proposal_and_confirmation(fleet: Site) -> None:
    proposed = propose(fleet)
    assert proposed.password == "bmc-secret-1" and proposed.proposed_password and proposed.proposal
    between = read(fleet)
    assert (between.password, between.proposed_password) == ("bmc-secret-1", proposed.proposed_password)
    assert between.rotated_at is None
    confirm(fleet, proposed.proposal)
    after = read(fleet)
    assert (after.username, after.password) == ("admin", proposed.proposed_password)
    assert after.proposed_password is None and after.rotated_at is not None
    assert actions(fleet) == ["credential.propose", "credential.confirm"]
    assert proposed.proposed_password not in repr(proposed)


def test_proposing_again_answers_the_proposal_that_may_be_at_the_bmc_already(fleet: Site) -> None:
    first, second = propose(fleet), propose(fleet)
    assert (second.proposal, second.proposed_password) == (first.proposal, first.proposed_password)
    assert actions(fleet) == ["credential.propose"]
    with pytest.raises(errors.Conflict) as caught:
        propose(fleet, password="something else entirely")
    assert caught.value.code == "credential_proposed"


def test_confirming_twice_holds_once_and_an_old_confirmation_changes_nothing(fleet: Site) -> None:
    first = propose(fleet)
    assert first.proposal
    confirm(fleet, first.proposal)
    again = confirm(fleet, first.proposal)
    assert again.password == first.proposed_password
    assert actions(fleet) == ["credential.propose", "credential.confirm"]
    second = propose(fleet)
    with pytest.raises(errors.Conflict) as caught:
        confirm(fleet, first.proposal)
    assert caught.value.code == "stale_proposal"
    assert read(fleet).proposed_password == second.proposed_password


def test_every_answer_that_opens_a_password_is_audited(fleet: Site) -> None:
    def readings() -> int:
        with fleet.database.reading() as session:
            return len(session.scalars(select(AuditEntry).where(AuditEntry.action == "credential.read")).all())

    first = propose(fleet)
    assert first.proposal and readings() == 0, "a proposal has a line of its own"
    assert propose(fleet).password and readings() == 1
    assert confirm(fleet, first.proposal).password and readings() == 1
    assert confirm(fleet, first.proposal).password and readings() == 2
    assert withdraw(fleet, first.proposal).password and readings() == 3
    assert propose(fleet, older_than_s=3600).password and readings() == 4
    assert actions(fleet) == ["credential.propose", "credential.confirm"]


def test_a_withdrawn_proposal_leaves_the_password_in_force(fleet: Site) -> None:
    proposed = propose(fleet)
    assert proposed.proposal
    assert withdraw(fleet, proposed.proposal).proposed_password is None
    assert read(fleet).password == "bmc-secret-1"
    with pytest.raises(errors.Conflict):
        confirm(fleet, proposed.proposal)
    assert propose(fleet).proposed_password != proposed.proposed_password


def test_a_server_without_a_credential_is_told_what_opens_it_now(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        register.import_fleet(session, SYSTEM, {"servers": [{"name": "bare", "bmc_address": "192.0.2.50"}]})
    with pytest.raises(errors.Invalid) as caught:
        propose(fleet, "bare")
    assert caught.value.code == "current_credential_needed"
    proposed = propose(fleet, "bare", username="root", current="calvin")
    assert (proposed.username, proposed.password) == ("root", "calvin") and proposed.proposed_password
    assert proposed.proposal
    assert confirm(fleet, proposed.proposal, "bare").password == proposed.proposed_password


def test_a_proposal_may_change_the_user_name_too(fleet: Site) -> None:
    proposed = propose(fleet, username="palebluedot", password="a whole new one")
    assert (proposed.username, proposed.proposed_username) == ("admin", "palebluedot")
    assert proposed.proposal
    after = confirm(fleet, proposed.proposal)
    assert (after.username, after.password, after.proposed_username) == ("palebluedot", "a whole new one", None)


def test_what_was_changed_lately_is_left_alone_when_asked_so(fleet: Site) -> None:
    first = propose(fleet, older_than_s=3600)
    assert first.proposed_password and first.proposal, "one that was never changed is older than anything"
    confirm(fleet, first.proposal)
    assert propose(fleet, older_than_s=3600).proposed_password is None
    with clock.travel(timedelta(hours=2)):
        assert propose(fleet, older_than_s=3600).proposed_password


def test_importing_the_same_file_again_does_not_bring_back_what_was_rotated_away(fleet: Site) -> None:
    document = fleet_document(1)
    proposed = propose(fleet)
    assert proposed.proposal
    confirm(fleet, proposed.proposal)
    with fleet.database.transaction() as session:
        assert dict(register.import_fleet(session, SYSTEM, {"servers": document["servers"]}).updated) == {}
    assert read(fleet).password == proposed.proposed_password
    document["servers"][0]["bmc_password"] = "set by hand at the rack"
    with fleet.database.transaction() as session:
        assert dict(register.import_fleet(session, SYSTEM, {"servers": document["servers"]}).updated) == {"servers": 1}
    assert read(fleet).password == "set by hand at the rack"


def test_a_proposal_is_encrypted_and_for_staff_and_own_servers_only(fleet: Site) -> None:
    proposed = propose(fleet)
    assert proposed.proposed_password
    with fleet.database.reading() as session:
        rows = session.scalars(select(Credential).where(Credential.proposal == proposed.proposal)).all()
        assert len(rows) == 1 and rows[0].proposed_ciphertext is not None
        assert proposed.proposed_password.encode() not in rows[0].proposed_ciphertext
        details = [row.detail for row in session.scalars(select(AuditEntry))]
        assert proposed.proposed_password not in str(details)
    with pytest.raises(errors.Forbidden):
        propose(fleet, actor=fleet.ada)
    fleet.reserve()
    workflow = fleet.claim_next()
    with fleet.database.transaction() as session:
        job = users.verify_token(session, users.mint_token(session, SYSTEM, "job", 60, workflow.id).token)
    assert propose(fleet, "gpu-01", actor=job).proposal == proposed.proposal
    with pytest.raises(errors.Forbidden):
        propose(fleet, "gpu-02", actor=job)


def test_made_up_passwords_suit_every_vendor() -> None:
    made = {secrets.new_device_password() for _ in range(300)}
    assert len(made) == 300
    for password in made:
        assert len(password) == 16 and password.isascii() and password.isprintable() and password[0].isalpha()
        assert any(c.isupper() for c in password) and any(c.islower() for c in password)
        assert any(c.isdigit() for c in password) and any(c in "-_.+" for c in password)
        assert not any(a == b for a, b in pairwise(password))
