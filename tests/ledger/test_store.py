"""The database of a ledger: what it is called, who has it, and how it is opened and closed."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from guestlist.errors import LedgerError
from guestlist.ledger.runner import alone
from guestlist.ledger.store import Store, _engine, _name


@pytest.mark.parametrize(
    "url", ["postgresql://ada:s3cret@db/x", "postgresql://ada@db/x?password=s3cret&sslmode=require"]
)
def test_what_people_know_it_by_holds_no_password(url: str) -> None:
    assert "s3cret" not in _name(_engine(url))


def test_two_files_whose_names_end_differently_are_two(tmp_path: Path) -> None:
    with (
        closing(Store(f"sqlite:///{tmp_path}/ledger.2026")) as one,
        closing(Store(f"sqlite:///{tmp_path}/ledger.2027")) as other,
        alone(one),
        alone(other),
    ):
        pass


def test_one_file_under_two_names_is_one(tmp_path: Path) -> None:
    """Whoever believes to be alone takes what is under way elsewhere for interrupted."""
    (tmp_path / "link.db").symlink_to(tmp_path / "guestlist.db")
    with (
        closing(Store(f"sqlite:///{tmp_path}/guestlist.db")) as one,
        closing(Store(f"sqlite:///{tmp_path}/link.db")) as other,
        alone(one),
        pytest.raises(LedgerError, match="another run is under way"),
        alone(other),
    ):
        pass
