"""The tree of errors, and what each tells people and programs."""

from __future__ import annotations

import copy
import inspect
import json
import pickle

import pytest

import guestlist
from guestlist import errors
from guestlist.errors import (
    GuestlistError,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    ServiceUnavailable,
    Unauthorized,
    WaitTimeout,
)
from guestlist.models import Guest, NewInvitation, State

KINDS = {
    "CallerMistake": {"InvalidArgument", "UnknownRole", "Unsupported", "ConfigError"},
    "ConfigError": {"UnknownAccount", "PluginError"},
    "ServiceRefusal": {"Unauthorized", "Forbidden", "NotFound", "Conflict", "Rejected"},
    "Forbidden": {"SeatLimit"},
    "Conflict": {"AlreadyInvited", "AlreadyMember"},
    "ServiceTrouble": {"RateLimited", "ServiceUnavailable", "MalformedResponse"},
}
ALL = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, GuestlistError) and not kind.__name__.startswith("_")
]


@pytest.mark.parametrize("parent", KINDS)
def test_the_tree(parent: str) -> None:
    below = getattr(errors, parent).__subclasses__()
    children = {kind.__name__ for kind in below if kind.__module__ == errors.__name__}
    assert children == KINDS[parent]


def test_the_groups_are_apart() -> None:
    groups = [
        errors.CallerMistake,
        errors.ServiceRefusal,
        errors.ServiceTrouble,
        errors.LedgerError,
        errors.OutcomeUnknown,
        errors.WaitTimeout,
    ]
    for kind in ALL:
        assert sum(issubclass(kind, group) for group in groups) == (kind is not GuestlistError)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.InvalidArgument, ValueError),
        (errors.UnknownRole, LookupError),
        (errors.UnknownAccount, LookupError),
        (errors.Unsupported, NotImplementedError),
        (errors.NotFound, LookupError),
        (errors.WaitTimeout, TimeoutError),
    ],
)
def test_those_who_do_not_know_guestlist_can_catch_them(
    kind: type[GuestlistError], builtin: type[Exception]
) -> None:
    assert issubclass(kind, builtin)


@pytest.mark.parametrize("kind", ALL)
def test_all_are_public_and_explained(kind: type[GuestlistError]) -> None:
    assert getattr(guestlist, kind.__name__) is kind
    assert kind.__doc__
    assert kind.__name__ in (errors.__doc__ or "")


def test_one_line_says_everything() -> None:
    error = NotFound(
        "there is\nno invitation",
        hint="Invite the person\nfirst.",
        account="cloud",
        email="ada@example.com",
        status=404,
        code="MISSING",
        request_id="req-1",
    )
    assert str(error) == (
        "cloud: there is no invitation (ada@example.com)"
        " [HTTP 404, code MISSING, request id req-1]. Invite the person first."
    )
    assert error.headline == str(error).removesuffix(". Invite the person first.")


@pytest.mark.parametrize(
    ("hint", "end"),
    [
        ("", "it failed."),
        ("Try again", "it failed. Try again."),
        ("Try again.", "it failed. Try again."),
        ("Did you mean 'cloud'?", "it failed. Did you mean 'cloud'?"),
    ],
)
def test_it_ends_as_a_sentence_ends(hint: str, end: str) -> None:
    assert str(NotFound("it failed", hint=hint)) == end


def test_the_headline_does_not_repeat_the_message() -> None:
    error = NotFound("ada@example.com has no E7", email="ada@example.com", code="E7")
    assert str(error) == "ada@example.com has no E7."


def test_the_first_account_of_an_error_stays() -> None:
    error = NotFound("no", account="first").about(account="second", email="ada@example.com")
    assert (error.account, error.email) == ("first", "ada@example.com")


def test_an_error_after_retries_shows_attempts_and_time() -> None:
    error = ServiceUnavailable("no connection")
    error.attempts, error.waited = 4, 3.25
    assert str(error) == "no connection [4 attempts, 3.2 s waited]."
    refusal = Unauthorized("no")
    refusal.attempts, refusal.waited = 4, 3.25
    assert str(refusal) == "no."  # giving up was not the matter


def test_a_headline_does_not_fill_the_screen() -> None:
    error = GuestlistError(f"{'a' * 100_000} is not an address", email="b" * 100_000)
    assert "is not an address" in error.headline
    assert len(error.headline) < 200


@pytest.mark.parametrize("kind", ALL)
def test_programs_get_the_same_facts(kind: type[GuestlistError]) -> None:
    error = kind("it failed", hint="Do something", account="cloud", status=500)
    told = json.loads(json.dumps(error.to_dict()))
    assert told["error"] == kind.__name__
    assert (told["message"], told["hint"], told["account"]) == (
        "it failed",
        "Do something",
        "cloud",
    )
    assert "email" not in told
    assert "attempts" not in told


@pytest.mark.parametrize("happened", [True, False, None])
def test_programs_can_distinguish_false_from_unknown(happened: bool | None) -> None:
    error = ServiceUnavailable("no answer")
    error.happened = happened
    assert error.to_dict()["happened"] is happened


def test_by_default_nothing_happened_and_an_unknown_outcome_is_unknown() -> None:
    assert NotFound("no").happened is False
    assert OutcomeUnknown("perhaps").happened is None


def test_some_carry_more() -> None:
    new = NewInvitation(email="ada@example.com")
    guest = Guest(account="cloud", email="ada@example.com", state=State.PENDING)
    assert OutcomeUnknown("perhaps", invitation=new).invitation is new
    assert WaitTimeout("no", guest=guest).guest is guest
    assert RateLimited("slower", retry_after=7.5).retry_after == 7.5


@pytest.mark.parametrize("kind", ALL)
def test_errors_cross_processes(kind: type[GuestlistError]) -> None:
    error = kind("it failed", hint="Do something", account="cloud", status=500, code="E")
    error.happened, error.attempts = None, 3
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own
        assert type(twin) is kind
        assert str(twin) == str(error)
        assert twin.to_dict() == error.to_dict()
