"""Prints rows of results as tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

from guestlist.cli.formatting import RecordFormatter
from guestlist.cli.role_labels import RoleLabels
from guestlist.cli.session import Session
from guestlist.cli.tables import Tables


def show_rows(session: Session, rows: Sequence[BaseModel]) -> None:
    """Prints the rows, unless the command prints JSON."""
    if session.screen is None:
        return
    given = session.arguments
    labels = RoleLabels(lambda: session.guests)
    Tables(
        session.screen,
        RecordFormatter(session.now, labels, exact=given.verbose),
        secrets=given.show_secrets,
        details=given.verbose,
        hides_suspension=lambda name: session.guests.accounts[name].hides_suspension,
    ).show(rows)
