"""Many callers at once about one address, or about many: threads and tasks, one client or two."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest

from guestlist import AsyncGuestlist, Guestlist
from guestlist.errors import Conflict, GuestlistError
from guestlist.models import Outcome, RemoveOutcome, State
from guestlist.sandbox import Sandbox
from guestlist_vultr import Vultr
from guestlist_vultr.sandbox import VultrService
from pytest_guestlist.clock import VirtualClock

MANY = 20
ADA = "ada@example.com"


@pytest.fixture
def duplicates() -> str:
    """Whether the service refuses a second open invitation of an address: it hides no mistake."""
    return "allow"


@pytest.fixture
def sandbox(duplicates: str) -> Iterator[Sandbox]:
    switches = {"vultr": {"rate": "off", "duplicates": duplicates}}
    with Sandbox([VultrService], switches=switches) as running:
        yield running


class Unpaced(Vultr):
    """Without a limit: what is tried here is concurrency, not the pace."""

    @property
    def limits(self) -> tuple[()]:
        return ()


def using(sandbox: Sandbox) -> dict[str, Any]:
    """The account on the sandbox, and its clock: what sleeps moves it and does not wait."""
    account = unpaced(sandbox)
    return {"accounts": {"cloud": account}, "clock": VirtualClock(sandbox=sandbox)}


def unpaced(sandbox: Sandbox) -> Vultr:
    settings: dict[str, Any] = {**sandbox.services["vultr"].settings}
    return Unpaced(**settings)


Calls = list[tuple[int, str, tuple[Any, ...]]]
"""Which client makes the call, the verb, its arguments."""


def in_threads(sandbox: Sandbox, clients: int, calls: Calls) -> list[Any]:
    """What every call came to: its value or its error. All start at the same moment."""
    told: list[Any] = [None] * len(calls)
    together = threading.Barrier(len(calls))
    made = [Guestlist(**using(sandbox)) for _ in range(clients)]

    def work(number: int) -> None:
        client, verb, arguments = calls[number]
        together.wait()
        try:
            told[number] = getattr(made[client], verb)(*arguments)
        except GuestlistError as error:
            told[number] = error

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in made:
        client.close()
    return told


def in_tasks(sandbox: Sandbox, clients: int, calls: Calls) -> list[Any]:
    told: list[Any] = [None] * len(calls)

    async def main() -> None:
        made = [AsyncGuestlist(**using(sandbox)) for _ in range(clients)]

        async def work(number: int) -> None:
            client, verb, arguments = calls[number]
            try:
                told[number] = await getattr(made[client], verb)(*arguments)
            except GuestlistError as error:
                told[number] = error

        async with anyio.create_task_group() as group:
            for number in range(len(calls)):
                group.start_soon(work, number)
        for client in made:
            await client.aclose()

    anyio.run(main)
    return told


Ways = Callable[[Sandbox, int, Calls], list[Any]]
KINDS = pytest.mark.parametrize("together", [in_threads, in_tasks], ids=["threads", "tasks"])


def outcomes(told: list[Any]) -> Counter[str]:
    return Counter(str(getattr(one, "outcome", None) or type(one).__name__) for one in told)


@KINDS
def test_one_client_sends_one_email(sandbox: Sandbox, together: Ways) -> None:
    """Also to addresses that are the same by key; the others are told so."""
    spellings = [ADA, "Ada@Example.com", " ada@EXAMPLE.com"]
    calls: Calls = [(0, "invite", (spellings[n % 3],)) for n in range(MANY)]
    told = together(sandbox, 1, calls)
    assert outcomes(told) == {Outcome.INVITED: 1, Outcome.ALREADY_INVITED: MANY - 1}
    assert sum(one.email_sent for one in told) == 1
    assert len(list(sandbox.outbox.to(ADA))) == 1
    assert len({one.guest.invitation.id for one in told}) == 1


@pytest.mark.parametrize("duplicates", ["refuse", "allow"])
@KINDS
def test_two_clients_get_correct_results(sandbox: Sandbox, together: Ways, duplicates: str) -> None:
    """Two clients do not see each other. Where the service refuses duplicates, one email goes out;
    where it allows them, each client may send one, and says so: there is no lock between
    processes but the service's."""
    calls: Calls = [(n % 2, "invite", (ADA,)) for n in range(MANY)]
    told = together(sandbox, 2, calls)
    emails = len(list(sandbox.outbox.to(ADA)))
    assert set(outcomes(told)) <= {Outcome.INVITED, Outcome.ALREADY_INVITED}
    assert sum(one.email_sent for one in told) == outcomes(told)[Outcome.INVITED] == emails
    assert emails == 1 if duplicates == "refuse" else emails in (1, 2)
    known = {one["id"] for one in sandbox.services["vultr"].service.snapshot()["invitations"]}
    assert {one.guest.invitation.id for one in told} <= known


@KINDS
def test_mixed_verbs_on_one_address(sandbox: Sandbox, together: Ways) -> None:
    """Whatever the order: as many emails as were reported, and nobody is told what is not so."""
    verbs = ["invite", "status", "resend", "invite", "status"]
    calls: Calls = [(0, verbs[n % len(verbs)], (ADA,)) for n in range(MANY)]
    told = together(sandbox, 1, calls)
    emails = sum(bool(getattr(one, "email_sent", False)) for one in told)
    assert emails == len(list(sandbox.outbox.to(ADA)))
    assert outcomes(told)[Outcome.INVITED] == 1
    for (_, verb, _), one in zip(calls, told, strict=True):
        if verb == "status":
            assert one.state in (State.PENDING, State.GONE)
        elif isinstance(one, GuestlistError):
            assert verb == "resend"  # before the first invitation there is nothing to send again
            assert one.happened is False


@KINDS
def test_many_addresses_go_in_parallel(sandbox: Sandbox, together: Ways) -> None:
    calls: Calls = [(0, "invite", (f"guest{n}@example.com",)) for n in range(MANY)]
    told = together(sandbox, 1, calls)
    assert outcomes(told) == {Outcome.INVITED: MANY}
    assert Counter(mail.to for mail in sandbox.outbox.emails) == {
        f"guest{n}@example.com": 1 for n in range(MANY)
    }


@KINDS
def test_one_address_is_held_by_one_call_at_a_time(sandbox: Sandbox, together: Ways) -> None:
    """`error` instead of silence for those who want it, and still one mail."""
    calls: Calls = [(0, "invite", (ADA,)) for _ in range(10)]
    told = together(sandbox, 1, [*calls, *((0, "remove", (ADA,)) for _ in range(10))])
    assert outcomes(told[:10]) == {Outcome.INVITED: 1, Outcome.ALREADY_INVITED: 9}
    for one in told[10:]:  # before the invitation there is nothing to remove
        assert isinstance(one, Conflict) or one.outcome == RemoveOutcome.ALREADY_REMOVED
