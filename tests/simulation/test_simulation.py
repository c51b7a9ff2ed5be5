"""The policy under simulated faults, the checker under sabotage, and the model of recovery.

CI runs 20,000 seeds besides: `python -m pytest_guestlist.simulation --seeds 20000 --jobs 2`.
"""

from __future__ import annotations

import time
from random import Random

import pytest

from pytest_guestlist.simulation import simulate
from pytest_guestlist.simulation.__main__ import main
from pytest_guestlist.simulation.model import Scope, search, smallest_grace
from pytest_guestlist.simulation.report import VERDICTS, first_found, silence, tally
from pytest_guestlist.simulation.sabotage import SABOTAGES
from pytest_guestlist.simulation.subject import draw, provider_named

PROVIDERS = ("aitronos", "vultr")
WITH_LOGINS = ("betterauth:logins", "github")
"""Subjects whose members have no address. The first is a variation of its provider."""
SEEDS = 150
RARE = range(470, 480)
"""Seeds of which one ends with the rare verdict `happened`."""
FOUND_WITHIN = 1_000

ONCE_FAILED = (
    ("aitronos", 1793),  # accepted while a resend was unresolved: "nothing happened"
    ("aitronos", 5059),  # found by a lookup, created by the other client without an email
    ("vultr", 5960),  # a wrong clock, and a service that does not report expired invitations
    ("aitronos", 11403),  # revoked by another client, and reported as revoked by this one
    ("aitronos", 16583),  # a role given, and changed by another call at once
    ("aitronos", 175092),  # renewed in place, unseen: expired by the client's clock
    ("aitronos", 183237),  # another client replaced an unresolved invitation: no answer shows it
    ("aitronos", 335493),  # the same, revoked
    ("aitronos", 324501),  # expired, and resent as open: the client's clock was wrong
    ("aitronos", 331083),  # the same
    ("aitronos", 89307),  # a list read by offsets, from which another call removed a person
    (
        "vultr",
        227372,
    ),  # a list that broke off, with an expired invitation in state pending
    ("aitronos", 756177),  # invited without an email, and again before the lists showed it
    ("aitronos", 902529),  # the same
    ("aitronos", 915309),  # the same
    (
        "aitronos",
        82041,
    ),  # it took effect with an unreadable answer, and was repeated before it showed
    ("aitronos", 37494),  # resent before the lists showed it, and its expiry was not shown
    ("vultr", 231026),  # a list read within the lag whose answer came after it
    (
        "betterauth",
        169990,
    ),  # replaced before the lists showed it: an older one counted as the new one
    ("betterauth", 549358),  # the same, resent
    ("betterauth", 237166),  # revoked by another client while it looked, with a wrong clock
    ("betterauth:logins", 463),  # invited again without end: refused, and an old one was accepted
    ("keycloak", 11337),  # lists lagged, and a provider relies on them to show a new id at once
    ("keycloak", 175397),  # invited again after a 403, and the list was refused afterwards
    ("keycloak", 172598),  # invited, and the list was refused: reported as invited by another
    ("github", 3750),  # an invitation by login, and a call that knows only the address
    ("github", 3338),  # a list without a total, from which another call removed a person
    ("github", 105384),  # invited by login, and then by the address alone: two emails
    ("github", 159447),  # revoked an expired invitation, and another client invited first
    ("aitronos", 34803),  # found by a lookup, created without an email before the lists showed it
    ("betterauth", 178103),  # declined after an interrupted resend, and reported as resent
)
"""Seeds that have broken a promise."""

FOUND_LATE = {
    "any-invitation-is-renewed",
    "conflict-called-invited",
    "conflict-means-again",
    "every-resend-conclusive",
    "expired-by-our-clock",
    "expiry-compared-at-once",
    "grace-without-lag",
    "interruption-unnoted",
    "no-lock-per-guest",
    "our-clock-decides",
    "own-work-forgotten",
    "reading-errors-escape",
    "repeated-page-ends-the-list",
    "revoked-is-not-reported",
    "unreadable-called-failed",
}
"""Sabotages that take many seeds to find."""


ABOUT_LOGINS = {"hidden-addresses-mean-absent"}
"""Sabotages that only a subject without the addresses of members can show."""


@pytest.mark.long
def test_no_promise_is_broken_if_members_have_no_address() -> None:
    assert tally(WITH_LOGINS, range(SEEDS // 2)).violations == []


@pytest.mark.long
def test_no_promise_is_broken_and_every_verdict_occurs() -> None:
    total = tally(PROVIDERS, range(SEEDS))
    total.add(tally(PROVIDERS, RARE))

    assert total.violations == []
    verdicts = {verdict for _fault, verdict in total.verdicts}
    assert verdicts == set(VERDICTS)
    assert sum(count for (_, one), count in total.verdicts.items() if one == "done") > SEEDS / 4


@pytest.mark.parametrize(("provider", "seed"), ONCE_FAILED)
def test_seeds_that_once_failed(provider: str, seed: int) -> None:
    with silence():
        assert simulate(seed, provider_named(provider)).violations == []


@pytest.mark.parametrize(
    "sabotage",
    [
        pytest.param(name, marks=pytest.mark.proof if name in FOUND_LATE else ())
        for name in sorted(SABOTAGES)
    ],
)
def test_every_sabotage_is_found(sabotage: str) -> None:
    subjects = WITH_LOGINS if sabotage in ABOUT_LOGINS else PROVIDERS
    assert first_found(subjects, sabotage, FOUND_WITHIN) is not None


def test_the_same_seed_gives_the_same_lines() -> None:
    with silence():
        first, second = (simulate(7, provider_named("vultr"), verbose=True) for _ in range(2))

    assert first.lines == second.lines
    assert any(" sends " in line for line in first.lines)


def test_lists_lag_unless_the_provider_declares_that_they_do_not() -> None:
    drawn = {
        name: {draw(provider_named(name), Random(seed)).provider.list_lag for seed in range(20)}
        for name in ("keycloak", "vultr")
    }
    assert drawn == {"keycloak": {0.0}, "vultr": {0.0, 3.0}}


def test_the_grace_period_must_cover_late_effect_plus_lag() -> None:
    began = time.process_time()
    for late in range(4):
        for lag in range(4):
            assert smallest_grace(late, lag) == late + lag
    assert time.process_time() - began < 1.0

    assert search(Scope(late=2, lag=1, grace=2)).counterexample == (
        "request 1 gets no answer; it acts 2 ticks after the client gave up",
        "a tick",
        "a tick",
        "the final lookup finds nothing: to be sent again",
        "request 2 is answered: done",
    )


def test_command_prints_the_table_and_fails_when_a_promise_is_broken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = [word for name in PROVIDERS for word in ("--provider", name)]

    assert main([*chosen, "--seeds", "10"]) == 0
    assert "0 broke a promise" in capsys.readouterr().out
    assert main([*chosen, "--seeds", "40", "--sabotage", "no-lookup"]) == 1
    assert "--show: " in capsys.readouterr().out
    assert main(["--provider", "nobody"]) == 2
    assert "there is no provider 'nobody'" in capsys.readouterr().err
