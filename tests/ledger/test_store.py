"""The database of a ledger: what it is called, who has it, and how it is opened and closed."""

from __future__ import annotations

import pytest

from guestlist.ledger.store import _engine, _name


@pytest.mark.parametrize(
    "url", ["postgresql://ada:s3cret@db/x", "postgresql://ada@db/x?password=s3cret&sslmode=require"]
)
def test_what_people_know_it_by_holds_no_password(url: str) -> None:
    assert "s3cret" not in _name(_engine(url))
