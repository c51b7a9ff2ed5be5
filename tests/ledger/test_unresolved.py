"""Emails of which nobody knows whether they went out, and roles that nobody has recorded: what the
next plan says of them, and what is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.durable.kit import START, Plain, Service
from tests.ledger.story import ADA, BOB, NOON, Story

import guestlist
from guestlist import Guestlist
from guestlist.changes import Action
from guestlist.errors import Conflict, GuestlistError, OutcomeUnknown
from guestlist.ledger import Ledger
from guestlist.ledger.emails import unresolved
from guestlist.ledger.order import OrderOutcome
from guestlist.ledger.schema import OrderState
from guestlist.ledger.store import Store
from guestlist.models import Role
from guestlist.provider import Flow, Page, operation
from guestlist.runs import ApplyResult
from pytest_guestlist.clock import VirtualClock

ROSTER = """
[accounts.plain]
provider = "vultr"

[[people]]
email = "ada@example.com"
accounts.plain = true

[[people]]
email = "bob@example.com"
accounts.plain = true
"""


class Office:
    """A roster, a service, and a ledger in a file."""

    def __init__(self, folder: Path, kind: type[Plain] = Plain) -> None:
        self.clock = VirtualClock(START)
        self.service = Service(self.clock)
        self.roster = folder / "guestlist.toml"
        self.roster.write_text(ROSTER)
        self.ledger = Ledger(folder / "guestlist.db", clock=self.clock)
        self.client = Guestlist(
            {"plain": kind(base_url="https://plain.test")},
            transport=self.service,
            clock=self.clock,
            ledger=self.ledger,
        )

    def apply(self, **options: Any) -> ApplyResult:
        return guestlist.apply(self.roster, ledger=self.ledger, client=self.client, **options)

    def plan(self, **options: Any) -> list[tuple[str, str]]:
        """The actions and addresses of a plan."""
        with self._plan(**options) as plan:
            return [(change.action.value, change.email) for change in plan.changes()]

    def reasons(self, **options: Any) -> list[str]:
        with self._plan(**options) as plan:
            return [change.reason for change in plan.changes()]

    def save(self, path: Path) -> Path:
        with self._plan() as plan:
            plan.write(path)
        return path

    def _plan(self, **options: Any) -> guestlist.Plan:
        return guestlist.plan(self.roster, ledger=self.ledger, client=self.client, **options)

    def __enter__(self) -> Office:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.ledger.close()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Office(tmp_path) as office:
        yield office


UNREADABLE = {
    "not an object": lambda: httpx.Response(201, json=[]),
    "a page": lambda: httpx.Response(201, html="<html>Created</html>"),
}


@pytest.fixture(params=list(UNREADABLE.values()), ids=list(UNREADABLE))
def unsure(
    office: Office, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Office:
    """Ada's invitation was sent; the answer cannot be read, and lists do not show it for long."""
    monkeypatch.setattr("tests.durable.kit.LIST_LAG", 3600.0)
    answer = office.service.handle_request

    def unreadable(sent: httpx.Request) -> httpx.Response:
        answered = answer(sent)
        about_ada = sent.method == "POST" and ADA.encode() in sent.content
        return request.param() if about_ada else answered

    monkeypatch.setattr(office.service, "handle_request", unreadable)
    result = office.apply()
    assert [type(error) for error in result.errors] == [OutcomeUnknown]
    assert office.service.emails == {ADA: 1, BOB: 1}
    bob = next(one for one in office.service.invitations if one["email"] == BOB)
    bob["made"] -= 3600.0  # shown in time
    return office


def test_an_unknown_outcome_is_a_line_of_the_plan_and_nothing_is_sent(unsure: Office) -> None:
    assert unsure.plan() == [("unresolved", ADA)]
    (reason,) = unsure.reasons()
    assert reason.startswith("invite was sent on 2027-01-15 08:00 UTC, outcome unknown (")
    for _ in range(2):
        (error,) = unsure.apply().errors
        assert isinstance(error, OutcomeUnknown)
        assert error.email == ADA
        assert "2027-01-15 08:00 UTC" in error.message
        assert "retry_unknown" in (error.hint or "")
    assert unsure.service.emails == {ADA: 1, BOB: 1}


def test_once_the_record_appears_the_plan_has_nothing_to_do(unsure: Office) -> None:
    unsure.clock.sleep(3601)
    assert unsure.plan() == []
    assert unsure.apply().errors == []
    assert unsure.service.emails == {ADA: 1, BOB: 1}


def test_what_somebody_confirms_is_sent(unsure: Office) -> None:
    assert unsure.plan(retry_unknown=True) == [("invite", ADA)]
    (reason,) = unsure.reasons(retry_unknown=True)
    assert "is not there; invite was sent on 2027-01-15 08:00 UTC, outcome unknown" in reason
    unsure.apply(retry_unknown=True)
    assert unsure.service.emails == {ADA: 2, BOB: 1}


def test_a_single_call_after_a_run_wants_confirmation_too(unsure: Office) -> None:
    for _ in range(2):
        with pytest.raises(OutcomeUnknown, match="retry_unknown=True"):
            unsure.client.invite(ADA)
    assert unsure.service.emails == {ADA: 1, BOB: 1}
    with pytest.raises(GuestlistError):  # this answer cannot be read either
        unsure.client.invite(ADA, retry_unknown=True)
    assert unsure.service.emails == {ADA: 2, BOB: 1}


def test_a_saved_plan_does_not_send_what_has_become_unknown_since(
    office: Office, tmp_path: Path
) -> None:
    saved = office.save(tmp_path / "plan.json")
    office.clock.sleep(60)
    settled(office.ledger.store, ADA, office.clock.now().timestamp())
    with pytest.raises(Conflict, match=r"ada@example\.com on plain is unresolved: invite was sent"):
        office.apply(plan=saved)
    assert office.service.emails == {}


def test_a_saved_plan_leaves_out_what_was_unknown_before(office: Office, tmp_path: Path) -> None:
    settled(office.ledger.store, ADA, office.clock.now().timestamp())
    office.clock.sleep(60)
    result = office.apply(plan=office.save(tmp_path / "plan.json"))
    assert [type(error) for error in result.errors] == [OutcomeUnknown]
    assert office.service.emails == {BOB: 1}


def settled(
    store: Store,
    email: str,
    at: float,
    state: OrderState = OrderState.UNKNOWN,
    action: Action = Action.INVITE,
    account: str = "plain",
) -> None:
    story = Story(store)
    days = (at - NOON.timestamp()) / 86_400
    id = story.doubtful(email, days, action=action, account=account)
    assert story.settle(id, days, state, OrderOutcome("unknown", detail="HTTP 500"))


def test_the_last_order_that_was_carried_out_counts(story: Story) -> None:
    def people() -> list[tuple[str, str, str]]:
        return [(one.account, one.key, one.action.value) for one in unresolved(story.store)]

    def then(state: OrderState, action: Action, email: str = ADA, account: str = "plain") -> None:
        then.day += 1  # type: ignore[attr-defined]
        id = story.doubtful(email, then.day, action=action, account=account)  # type: ignore[attr-defined]
        assert story.settle(id, then.day, state, OrderOutcome("x"))  # type: ignore[attr-defined]

    then.day = 0  # type: ignore[attr-defined]
    unknown, done, refused = OrderState.UNKNOWN, OrderState.DONE, OrderState.REFUSED
    then(done, Action.INVITE)
    then(unknown, Action.INVITE)
    then(unknown, Action.RESEND)
    assert people() == [("plain", ADA, "resend")]
    then(refused, Action.INVITE)
    then(unknown, Action.ASSIGN_ROLE, BOB)
    then(done, Action.INVITE, account="other")
    then(done, Action.INVITE, BOB)
    assert people() == [("plain", ADA, "resend")]
    then(unknown, Action.INVITE, account="other")
    assert people() == [("plain", ADA, "resend"), ("other", ADA, "invite")]
    then(done, Action.RESEND)
    assert people() == [("other", ADA, "invite")]
    then(done, Action.REVOKE, account="other")
    assert people() == []


# ---------------------------------------------------------------------------- deferred roles


class Later(Plain):
    """A service that takes roles only after acceptance."""

    most_roles = 0

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        yield from ()
        return Page([Role(id="ops", name="ops"), Role(id="dev", name="dev")])


def test_settle_looks_for_a_limited_number_of_people_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guestlist.runs.settling.MAX_GRANTS_PER_CHECK", 3)
    people = [f"guest{number}@example.com" for number in range(8)]
    looks: list[int] = []
    with Office(tmp_path, Later) as office:
        entry = '[[people]]\nemail = "{}"\naccounts.plain = ["ops"]\n'
        office.roster.write_text(ROSTER.partition("[[")[0] + "".join(map(entry.format, people)))
        office.apply()
        office.clock.sleep(60)
        office.service.invitations.clear()
        for email in people[:-1]:
            office.service.add_person(email)
        status_many: Any = Guestlist.status_many

        def counted(self: Guestlist, emails: set[str], **options: Any) -> Any:
            looks.append(len(emails))
            return status_many(self, emails, **options)

        monkeypatch.setattr(Guestlist, "status_many", counted)
        settled = guestlist.settle(office.roster, ledger=office.ledger, client=office.client)
        assert settled.errors == []
        assert [guest.email for guest in settled.lost_people] == people[-1:]
        assert (settled.lost, settled.waiting) == (1, 0)
        assert [one["roles"] for one in office.service.people] == [["ops"]] * 7
    assert looks == [3, 3, 2]


@pytest.mark.parametrize("plan_file", [True, False])
def test_roles_of_people_who_are_invited_already_are_recorded_and_given(
    tmp_path: Path, plan_file: bool
) -> None:
    """With a new ledger, or one that was lost."""
    with Office(tmp_path, Later) as office:
        office.roster.write_text(ROSTER.replace("true", '["ops", "dev"]', 1))
        office.service.add_invitation(ADA)
        office.service.add_invitation(BOB)
        office.clock.sleep(60)
        assert office.plan() == [("defer", ADA)]
        saved = office.save(tmp_path / "plan.json") if plan_file else None
        result = office.apply(plan=saved)
        assert result.errors == []
        assert result.settled.waiting == 1  # type: ignore[union-attr]
        assert office.plan() == []
        office.service.invitations.clear()
        office.service.add_person(ADA)
        office.service.add_person(BOB)
        settled = guestlist.settle(office.roster, ledger=office.ledger, client=office.client)
        assert (settled.errors, settled.waiting, len(settled.runs)) == ([], 0, 1)
        assert [one["roles"] for one in office.service.people] == [["dev", "ops"], []]
        assert office.service.emails == {}
        assert office.plan() == []
