"""One stage for all cells, because starting everything anew would take most of the time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.sockets.matrix import Stage


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage
