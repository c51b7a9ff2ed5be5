"""How many emails people have had."""

from __future__ import annotations

import pytest
from tests.ledger.story import ADA, BOB, EVE, Story, day

from guestlist.changes import Action
from guestlist.ledger.emails import EmailsPerPerson, emails_since
from guestlist.ledger.schema import OrderState


def test_emails_of_a_person_since_a_moment(story: Story) -> None:
    story.settled(ADA, 0, email_sent=True)
    story.settled(ADA, 2, email_sent=True)
    story.settled("Ada@Example.com", 3, email_sent=True, action=Action.RESEND, account="office")
    story.settled(BOB, 1.9, email_sent=True)
    story.settled(EVE, 5, email_sent=True, action=Action.REPLACE)
    assert list(emails_since(story.store, day(2))) == [(ADA, 2), (EVE, 1)]
    assert dict(emails_since(story.store, day(0))) == {ADA: 3, BOB: 1, EVE: 1}


def test_what_nobody_knows_counts(story: Story) -> None:
    story.settled("found@example.com", email_sent=None)
    story.settled("unknown@example.com", state=OrderState.UNKNOWN, email_sent=None)
    story.doubtful("doubt@example.com")
    assert dict(emails_since(story.store, day(0))) == {
        "doubt@example.com": 1,
        "found@example.com": 1,
        "unknown@example.com": 1,
    }


def test_what_was_not_sent_does_not_count(story: Story) -> None:
    story.settled(email_sent=False, outcome="already_invited")
    story.settled(state=OrderState.REFUSED, outcome="Forbidden")
    story.asked()
    story.settled(action=Action.ASSIGN_ROLE, outcome="assigned", roles=("Member",))
    story.doubtful(action=Action.REMOVE)
    again = story.doubtful()
    story.not_happened(again, 1, sent=0)
    assert list(emails_since(story.store, day(0))) == []


@pytest.mark.parametrize("at_a_time", [2, 5_000])
def test_the_order_is_that_of_python(
    story: Story, monkeypatch: pytest.MonkeyPatch, at_a_time: int
) -> None:
    monkeypatch.setattr("guestlist.ledger.emails.ROWS_PER_READ", at_a_time)
    names = [
        "b",
        "a-b",
        "ab",
        "a.b",
        "a_b",
        "a+b",
        "é",
        "z",
        "ä",
        "\U0001f600",
        "\uffee",
        "a1",
        "a",
    ]
    for name in names:
        story.settled(f"{name}@example.com", email_sent=True)
    keys = [key for key, _ in emails_since(story.store, day(0))]
    assert len(keys) == len(names)
    assert keys == sorted(keys)


def test_a_plan_asks_for_one_person_after_another(story: Story) -> None:
    story.settled(ADA, email_sent=True)
    story.settled(EVE, email_sent=True)
    story.settled(EVE, email_sent=True)
    emails = EmailsPerPerson(story.store, day(0))
    people = sorted([ADA, ADA, BOB, EVE, "zoe@example.com"])
    assert [emails(key) for key in people] == [{ADA: 1, EVE: 2}.get(key, 0) for key in people]
