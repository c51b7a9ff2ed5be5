"""Scratch space: what happens when its reader is interrupted."""

from __future__ import annotations

from guestlist.roster.store import Fact, Kind, PlanStore


def test_a_reader_that_was_interrupted_says_nothing_when_it_is_thrown_away() -> None:
    scratch = PlanStore()
    facts = [Fact(f"p{number}@example.com", 0, Kind.WANTED, False, "", "") for number in range(9)]
    scratch.add(facts)
    people = scratch.people()
    assert next(people) == [facts[0]]
    scratch.close()
    people.close()  # type: ignore[attr-defined]
