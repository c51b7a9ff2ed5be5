"""A small version of the proofs that `python -m tests.durable` makes: processes that are killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import postgres
from tests.durable import kills
from tests.durable.kills import Figures, Fire


def safe(figures: Figures) -> bool:
    """Whether nothing was lost and nothing doubled, though there was reason for both."""
    assert figures.faults > 0
    assert figures.in_doubt > 0
    return (figures.lost, figures.doubled, figures.not_done) == (0, 0, 0)


@pytest.mark.long
def test_a_process_that_is_killed_again_and_again(tmp_path: Path) -> None:
    figures = kills.on_sqlite(tmp_path / "guestlist.db", Fire(orders=100, kills=2, share=0.1))
    assert figures.kills == 2
    assert safe(figures), str(figures)


@pytest.mark.proof  # of what test_engine.py and test_resume.py show one step at a time
@pytest.mark.skipif(postgres.missing() is not None, reason=str(postgres.missing()))
def test_workers_that_are_killed_and_one_that_stays_dead() -> None:
    with postgres.running() as server:
        figures = kills.on_postgres(server.url, Fire(orders=400, kills=2))
    assert figures.kills == 2
    assert safe(figures), str(figures)
    assert figures.takeover  # how soon, the documented run tells: this machine may be busy
