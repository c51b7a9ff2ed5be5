"""docs/service-gaps.md: each block is put into the provider that `guestlist new-provider` writes,
and guestlist then does on a sandbox with that gap what the page says.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.responses import JSONResponse
from tools.tutorial import merged, without

from guestlist.errors import Conflict, NotFound, Unsupported
from guestlist.models import Basis, Outcome, State
from guestlist.provider import Flow, Request, Response, operation
from guestlist.sandbox import IncomingRequest, InvitationRecord, Routes
from guestlist.sandbox.envelopes import nested
from guestlist.sandbox.paging import page_by_cursor
from guestlist.sandbox.refusals import HttpRefusal, PathNotFound
from pytest_guestlist.conformance.backend import SandboxBackend
from pytest_guestlist.conformance.finding import under_rule
from pytest_guestlist.conformance.harness import Harness
from pytest_guestlist.conformance.inviting import InvitingRules
from pytest_guestlist.conformance.revoking import RevokingRules
from pytest_guestlist.scaffold import new_provider

TEXT = Path(__file__).parents[2].joinpath("docs", "service-gaps.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## \.\.\. (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
BLOCK = re.compile(
    r"^```python\n(?:# (?:in the class|delete ([\w, ]+))\n)?(.*?)^```$", re.MULTILINE | re.DOTALL
)
IMPORTS = re.search(r"^```python\n# imports\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)

ADA = "ada@example.com"
OLGA = "olga@example.org"
"""The first member of the sandbox."""

Gap = Callable[..., tuple[Any, Any]]
Rule = Callable[[RevokingRules, Harness], None]


@pytest.fixture
def gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gap]:
    """Returns a function that makes a scene of a section's provider and a changed sandbox."""
    harnesses: list[Any] = []

    def build(title: str, *numbers: int, **changes: Any) -> tuple[Any, Any]:
        package = new_provider("acme", tmp_path) / "src"
        path = package / "guestlist_acme" / "provider.py"
        path.write_text(changed(path.read_text("utf-8"), title, numbers), "utf-8")
        monkeypatch.syspath_prepend(str(package))
        module = import_module("guestlist_acme.sandbox")
        service = sandbox(module, changes)
        kind = import_module("guestlist_acme").Acme
        harnesses.append(Harness(SandboxBackend(service, kind)))
        return harnesses[0], harnesses[0].backend.service

    yield build
    for harness in harnesses:
        harness.close()
    for name in [name for name in sys.modules if name.startswith("guestlist_acme")]:
        del sys.modules[name]


def changed(text: str, title: str, numbers: tuple[int, ...]) -> str:
    """Returns the scaffold's provider with the blocks of a section in it."""
    assert IMPORTS is not None
    text = text.replace("\nPAGE_SIZE", f"{IMPORTS[1]}\nPAGE_SIZE", 1)
    blocks = BLOCK.findall(SECTIONS[title])
    for deleted, code in [blocks[number] for number in numbers] if numbers else blocks:
        for name in deleted.replace(",", " ").split():
            text = without(text, name)
        # methods first, then the functions of the module
        method, _, function = code.partition("\n\n\ndef ")
        text = merged(text, method.rstrip() + "\n")
        text = merged(text, f"def {function}") if function else text
    return text


def sandbox(module: ModuleType, changes: dict[str, Any]) -> Any:
    """Returns the scaffold's sandbox with other attributes. A path in `without` is missing."""
    base = module.AcmeService
    routes = Routes(base.routes, *changes.pop("more", ()))
    for method, path in changes.pop("missing", ()):
        routes.add(method, path)(absent)
    for (method, path), handle in changes.pop("paths", {}).items():
        routes.add(method, path)(handle)
    return type("AcmeService", (base,), {"routes": routes, **changes})


def absent(service: Any, request: IncomingRequest) -> Any:
    raise PathNotFound


def shown_without(*names: str) -> Callable[[Any, Any], Any]:
    """Returns the form of the scaffold's records without some fields."""

    def shown(service: Any, record: Any) -> Any:
        kind = "invitation" if isinstance(record, InvitationRecord) else "member"
        fields = getattr(super(type(service), service), kind)(record)
        return {name: value for name, value in fields.items() if name not in names}

    return shown


def test_every_section_is_tried() -> None:
    tested = Path(__file__).read_text("utf-8")
    assert set(re.findall(r'\bgap\(\s*"(.*?)"', tested)) == set(SECTIONS)
    assert len(BLOCK.findall(TEXT)) == TEXT.count("```python") == TEXT.count("```") // 2


def test_no_status_word(gap: Gap) -> None:
    behavior = {"accepted": "vanish", "revoked": "vanish"}
    harness, service = gap("status word", 0, invitation=shown_without("status"), behavior=behavior)
    guests = harness.guests
    guests.invite(ADA)
    guests.invite("bob@example.com")
    now = guests.status(ADA)
    assert (now.state, now.basis) == (State.PENDING, Basis.INFERRED)
    service.accept(service.outbox.emails[0].invitation)
    assert guests.status(ADA).state is State.ACCEPTED
    guests.revoke("bob@example.com")
    assert guests.status("bob@example.com").state is State.GONE
    guests.invite("eve@example.com")
    harness.backend.forward(timedelta(days=8))
    assert guests.status("eve@example.com").state is State.EXPIRED


def test_a_link_shows_the_state(gap: Gap) -> None:
    def shown(service: Any, invitation: InvitationRecord) -> Any:
        pending = service.organization.is_open(invitation)
        link = service.link(invitation) if pending else None
        return {"id": invitation.id, "email": invitation.email, "link": link}

    harness, service = gap("status word", 1, invitation=shown)
    invitation = harness.guests.invite(ADA).guest.invitation
    assert (invitation.basis, invitation.raw_state) == (Basis.REPORTED, None)
    now = harness.guests.status(ADA)
    assert (now.state, now.basis) == (State.PENDING, Basis.REPORTED)
    harness.guests.revoke(ADA)
    assert harness.guests.status(ADA).state is State.UNKNOWN
    harness.guests.invite("bob@example.com")
    service.accept(service.outbox.emails[1].invitation)
    assert harness.guests.status("bob@example.com").state is State.ACCEPTED


@pytest.mark.parametrize("block", [0, 1], ids=["pages", "no pages"])
def test_no_request_for_one_record(gap: Gap, block: int) -> None:
    missing = [("GET", "/invitations/{id}"), ("GET", "/members/{id}")]
    harness, _ = gap("request for one record", block, missing=missing)
    made = harness.guests.invite(ADA).guest.invitation
    assert harness.guests.revoke(made.id).guest.email == ADA
    olga = harness.guests.status(OLGA).member
    assert [grant.role.id for grant in harness.guests.access(olga.id).grants] == ["admin"]
    with pytest.raises(NotFound):
        harness.guests.access("m_0")


def test_no_way_to_decline(gap: Gap) -> None:
    harness, service = gap("way to decline", invitees_can_decline=False)
    harness.guests.invite(ADA)
    assert not service.can_decline
    assert harness.guests.status(ADA).state is State.PENDING


def test_no_names(gap: Gap) -> None:
    harness, _ = gap("names", member=shown_without("name"))
    olga = harness.guests.status(OLGA).member
    assert (olga.name, olga.label) == (None, OLGA)
    harness.guests.assign_role(OLGA, "reader")
    assert {role.id for role in harness.guests.status(OLGA).member.roles} == {"admin", "reader"}


def test_no_expiry_in_the_records(gap: Gap) -> None:
    days = timedelta(days=3)
    harness, _ = gap("expiry in the records", 0, lifetime=days, invitation=without_expiry)
    made = harness.guests.invite(ADA).guest.invitation
    assert made.expires_at == made.created_at + days
    assert "expires_at" in made.estimated
    harness.backend.forward(timedelta(days=4))
    now = harness.guests.status(ADA)
    assert (now.state, now.basis) == (State.EXPIRED, Basis.DERIVED)


def test_no_expiry_at_all(gap: Gap) -> None:
    harness, _ = gap("expiry in the records", 1, lifetime=None)
    made = harness.guests.invite(ADA).guest.invitation
    assert (made.expires_at, made.never_expires) == (None, True)
    harness.backend.forward(timedelta(days=400))
    assert harness.guests.status(ADA).state is State.PENDING


def without_expiry(service: Any, invitation: InvitationRecord) -> Any:
    fields = super(type(service), service).invitation(invitation)
    status = "pending" if fields["status"] == "expired" else fields["status"]
    return {**fields, "status": status, "expires_at": None}


def test_no_pages(gap: Gap) -> None:
    def members(service: Any, request: IncomingRequest) -> Any:
        return JSONResponse([service.member(one) for one in service.organization.members()])

    harness, _ = gap("pages", 0, paths={("GET", "/members"): members})
    assert [one.email for one in harness.guests.members()] == [OLGA]
    assert harness.wire.exchanges[-1][0].url.endswith("/members")


def test_no_list_of_invitations_alone(gap: Gap) -> None:
    def people(service: Any, request: IncomingRequest) -> Any:
        records = [*service.organization.members(), *service.organization.invitations.values()]
        page = page_by_cursor(records, request.query)
        items = [
            {**service.invitation(one), "kind": "invited"}
            if isinstance(one, InvitationRecord)
            else {**service.member(one), "kind": "member"}
            for one in page.items
        ]
        return {"items": items, "next": page.next or None}

    missing = [("GET", "/invitations")]
    harness, _ = gap("pages", 1, missing=missing, paths={("GET", "/people"): people})
    harness.guests.invite(ADA)
    assert [one.email for one in harness.guests.invitations()] == [ADA]


def test_no_invitation_for_several_roles(gap: Gap) -> None:
    def replace(service: Any, request: IncomingRequest) -> Any:
        member = service.organization.member(request.path["id"])
        service.organization.set_roles(member, [service.organization.role(request.text("role"))])

    harness, service = gap(
        "invitation for several roles", paths={("PATCH", "/members/{id}"): replace}
    )
    with pytest.raises(Unsupported, match="ledger"):
        harness.guests.invite(ADA, role=["editor", "reader"])
    assert not service.outbox.emails
    harness.guests.invite(ADA, role="reader")
    service.accept(service.outbox.emails[0].invitation)
    harness.guests.assign_role(ADA, "editor")
    assert [role.id for role in harness.guests.status(ADA).member.roles] == ["editor"]
    with pytest.raises(Unsupported, match="exactly one role"):
        harness.guests.unassign_role(ADA, "editor")


def test_no_paths_without_a_slash(gap: Gap) -> None:
    def show(service: Any, request: IncomingRequest) -> Any:
        return {"name": "Works"}

    paths = {("GET", "/organization/"): show}
    harness, _ = gap("paths without a slash at the end", paths=paths)
    assert harness.run(harness.provider.organization()) == "Works"


def test_no_addresses_of_members(gap: Gap) -> None:
    def member(service: Any, member: Any) -> Any:
        roles = [role.id for role in member.roles]
        return {"id": member.id, "login": member.person.name.lower(), "roles": roles}

    harness, service = gap("addresses of members", member=member)
    now = harness.guests.status(OLGA)
    assert now.state is State.UNKNOWN
    assert now.unidentified
    assert harness.guests.status(OLGA, login="olga").state is State.ACCEPTED
    assert harness.guests.invite(OLGA).outcome == "already_member"
    assert not service.outbox.emails


def delete_record(service: Any, request: IncomingRequest) -> Any:
    id = request.path["id"]
    if id in service.organization.records:
        service.organization.remove(service.organization.member(id))
    else:
        service.organization.revoke(service.organization.invitation(id))


RULES = [
    RevokingRules.test_revoke_leaves_a_person_who_has_just_accepted,
    RevokingRules.test_repeated_revoke_leaves_a_person_who_has_just_accepted,
]


@pytest.mark.parametrize("rule", RULES)
def test_no_separate_records_for_invitations_and_members(gap: Gap, rule: Rule) -> None:
    harness, service = gap(
        "separate records for invitations and members",
        behavior={"member_ids": "invitation", "accepted": "vanish", "revoked": "vanish"},
        paths={("DELETE", "/people/{id}"): delete_record},
    )
    bob = harness.guests.invite("bob@example.com").guest.invitation
    assert harness.guests.revoke(bob).guest.state is State.GONE
    rule(RevokingRules(), harness)

    class Careless(type(harness.provider)):  # type: ignore[misc]
        @operation
        def revoke(self, invitation: Any) -> Flow[None]:
            yield Request.delete("people", invitation.id)

    careless = Harness(SandboxBackend(type(service), Careless))
    expected = pytest.raises(pytest.fail.Exception, match="expected:  accepted")
    with closing(careless), under_rule("stays"), expected:
        rule(RevokingRules(), careless)


def test_no_name_for_the_organization(gap: Gap) -> None:
    harness, _ = gap("name for the organization", missing=[("GET", "/organization")])
    assert harness.guests.check() == harness.provider.base_url.partition("://")[2]


def test_no_id_for_invitations(gap: Gap) -> None:
    harness, _ = gap(
        "id for invitations",
        behavior={"invitation_ids": "address"},
        invitation=shown_without("id"),
        missing=[("GET", "/invitations/{id}")],
    )
    assert harness.guests.invite(ADA).guest.invitation.id is None
    assert harness.guests.status(ADA).state is State.PENDING
    harness.guests.resend(ADA)
    assert harness.backend.emails(ADA) == 2
    harness.guests.revoke(ADA)
    assert harness.guests.status(ADA).state in (State.REVOKED, State.GONE)


def test_no_single_request_for_an_invitation(gap: Gap) -> None:
    def create(service: Any, request: IncomingRequest) -> Any:
        roles = [service.organization.role(id) for id in request.json()["roles"]]
        made = service.organization.invite(request.text("email"), roles, send=False)
        return service.invitation(made)

    def send(service: Any, request: IncomingRequest) -> Any:
        service.organization.resend(service.organization.invitation(request.path["id"]))

    paths = {("POST", "/people"): create, ("POST", "/people/{id}/email"): send}
    harness, _ = gap("single request for an invitation", paths=paths)
    InvitingRules().test_interrupted_invite_is_completed(harness)
    assert harness.backend.emails(ADA) == 1
    assert harness.guests.invite(ADA).outcome is Outcome.ALREADY_INVITED
    harness.guests.resend(ADA)
    assert harness.backend.emails(ADA) == 2


def test_no_request_to_resend(gap: Gap) -> None:
    harness, _ = gap("request to resend", missing=[("POST", "/invitations/{id}/resend")])
    first = harness.guests.invite(ADA, role="editor").guest.invitation
    again = harness.guests.resend(ADA).guest.invitation
    assert again.id != first.id
    assert again.roles == first.roles
    assert harness.backend.emails(ADA) == 2


def test_no_invitations(gap: Gap) -> None:
    def add(service: Any, request: IncomingRequest) -> Any:
        return service.member(service.organization.add_member(request.text("email")))

    harness, _ = gap("invitations", paths={("POST", "/members"): add})
    made = harness.guests.invite(ADA)
    assert (made.outcome, made.email_sent, made.guest.state) == ("joined", None, State.ACCEPTED)
    harness.lose_next_answer()
    assert harness.guests.invite("bob@example.com").outcome == "joined"
    assert [one.email for one in harness.guests.members()] == [OLGA, ADA, "bob@example.com"]
    assert [*harness.guests.invitations()] == []
    with pytest.raises(Unsupported):
        harness.guests.revoke(ADA)


def test_no_status_code_for_a_conflict(gap: Gap) -> None:
    def refuse(service: Any, request: IncomingRequest) -> Any:
        raise HttpRefusal(400, "is invited", "duplicate")

    def error(service: Any, status: int, code: str, refusal: Any) -> Any:
        return nested(str(refusal), code)

    harness, _ = gap(
        "status code for a conflict", 0, paths={("POST", "/invitations"): refuse}, error=error
    )
    with pytest.raises(Conflict, match="is invited"):
        harness.guests.invite(ADA)
    inside = Response(200, content=b'{"ok": false, "error": "duplicate"}')
    assert isinstance(harness.provider.refusal(inside), Conflict)
    assert harness.provider.refusal(Response(204)) is None


def test_no_refusal_of_duplicates(gap: Gap) -> None:
    behavior = {"duplicates": "allow", "inviting_members": "allow"}
    harness, _ = gap("status code for a conflict", 1, behavior=behavior)
    assert harness.guests.invite(ADA).outcome == "invited"
    assert harness.guests.invite(ADA).outcome == "already_invited"
    assert harness.guests.invite(OLGA).outcome == "already_member"
    assert harness.backend.emails(ADA) == 1


def test_no_token_that_lasts(gap: Gap) -> None:
    def token(service: Any, request: IncomingRequest) -> Any:
        return {"access_token": service.settings("")["api_key"], "expires_in": 60}

    routes = Routes()
    routes.post("/token", needs_key=False)(token)
    harness, _ = gap("token that lasts", more=[routes])
    harness.guests.invite(ADA)
    harness.guests.status(ADA)
    assert sum(1 for one, _ in harness.wire.exchanges if one.url.endswith("/token")) == 1
    harness.backend.forward(timedelta(minutes=2))
    harness.guests.status(ADA)
    assert sum(1 for one, _ in harness.wire.exchanges if one.url.endswith("/token")) == 2
