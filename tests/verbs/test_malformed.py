"""Answers that cannot be read: an error that says so, for every verb, and never anything else."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from guestlist import GuestlistError, MalformedResponse, NotFound

ADA = "ada@example.com"

VERBS: dict[str, tuple[Any, ...]] = {
    "invite": (ADA,),
    "resend": (ADA,),
    "status": (ADA,),
    "assign_role": (ADA, "Admin"),
    "unassign_role": (ADA, "Admin"),
    "revoke": (ADA,),
    "remove": (ADA,),
    "access": (ADA,),
    "check": (),
    "invitations": (),
    "members": (),
    "roles": (),
}

NO_USE: dict[str, dict[str, Any]] = {
    "HTML": {"html": "<html><body>Down for maintenance</body></html>"},
    "nothing": {"content": b""},
    "cut off": {"content": b'{"invites": [{"id": "1", "email_inv'},
    "no text": {"content": b"\x00\xff\xfe\x80"},
    "deep": {"content": b"[" * 50_000},
    "number": {"json": 7},
    "text": {"json": "fine"},
    "null": {"json": None},
    "huge": {"content": b" " * 70_000},
}

ODD: list[Any] = [
    {},
    [],
    [[]],
    [None],
    {"data": {}},
    {"invites": None, "users": None, "groups": None, "roles": None},
    {"invites": 7, "users": 7, "groups": 7, "roles": 7, "statuses": 7, "members": 7},
    {"invites": [7], "users": [7], "groups": [7], "roles": [7], "statuses": [7]},
    {"invites": [{}], "users": [{}], "groups": [{}], "roles": [{}], "statuses": [{}]},
    {"users": [{"id": {}, "email": []}], "invites": [{"id": [], "email_invited": 7}]},
    {"users": [], "groups": [], "invites": [], "roles": [], "meta": {"links": {"next": 7}}},
    {"users": [], "groups": [], "invites": [], "roles": [], "meta": "none", "total": "many"},
    {"email": ADA, "id": "x", "invitation_id": "y", "expires_at": "soon", "name": None},
    {"error": "an error inside a 200"},
]


def answering(**answer: Any) -> Any:
    return lambda request, _: httpx.Response(200, **answer)


def able(guests: Any) -> list[str]:
    """The verbs that the service supports; the others never ask it anything."""
    return [verb for verb in VERBS if verb != "revoke" or guests.case.provider.supports(verb)]


@pytest.mark.parametrize("what", NO_USE)
def test_an_answer_of_no_use(faulty: Any, what: str) -> None:
    guests = faulty(answering(**NO_USE[what])).budgeted(max_body=60_000)
    for verb in able(guests):
        guests.forget()
        with pytest.raises(MalformedResponse) as caught:
            getattr(guests, verb)(*VERBS[verb])
        assert str(caught.value).startswith("home: ")
        assert len(str(caught.value)) < 400
        assert caught.value.happened is False
        assert len(guests.requests) == 1  # it would be as unreadable again


@pytest.mark.parametrize("body", ODD, ids=[str(n) for n, _ in enumerate(ODD)])
def test_an_answer_of_another_shape(faulty: Any, body: Any) -> None:
    """It may be read as "nothing", or is told; it is no other error, and it ends."""
    guests = faulty(answering(json=body)).budgeted(total=60)
    for verb in able(guests):
        guests.forget()
        try:
            getattr(guests, verb)(*VERBS[verb])
        except GuestlistError as error:
            told = str(error)
        else:
            told = "home: "
        assert told.startswith("home: "), verb
        assert "\n" not in told, verb
        assert len(guests.requests) < 20, verb


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500, 503])
def test_an_error_with_a_body_of_no_use(faulty: Any, status: int) -> None:
    for what, body in NO_USE.items():
        guests = faulty(lambda request, _, body=body: httpx.Response(status, **body))
        with pytest.raises(GuestlistError) as caught:
            guests.budgeted(attempts=2, max_body=60_000).check()
        assert caught.value.status == status, what
        assert not isinstance(caught.value, MalformedResponse), what
        assert len(str(caught.value)) < 700, what


def test_a_list_that_never_ends(faulty: Any) -> None:
    """The service ignores the cursor: it answers with the first page for ever, and says that there
    are more. Nobody can tell who is not in it."""
    first: list[dict[str, Any]] = []

    def same_page(request: httpx.Request, answer: httpx.Response | None) -> Any:
        if answer is not None:
            first.append(answer.json())
        if not first:
            return None
        more = {"links": {"next": f"more-{len(guests.requests)}"}}
        endless = {"meta": more, "total": 1000, "total_users_count": 1000}
        return httpx.Response(200, json={**first[0], **endless})

    guests = faulty(same_page)
    with pytest.raises(MalformedResponse, match="the list repeats itself"):
        guests.members()
    assert len(guests.requests) == 2


def test_an_id_is_not_guessed(faulty: Any) -> None:
    guests = faulty(lambda request, _: httpx.Response(404, html="<h1>Not found"))
    with pytest.raises(NotFound, match="no invitation or member with the id 'x1'"):
        guests.status("x1")
