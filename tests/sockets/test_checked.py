"""The matrix would notice: each rule that it proves is broken here on purpose, and it shows."""

from __future__ import annotations

import pytest
from tests.sockets.matrix import FOREIGN, Stage
from tests.sockets.rows import ROWS

from guestlist.errors import MalformedResponse
from guestlist.exchange import account, stream


def test_believing_the_names_of_errors_invites_twice(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        stream.Trace, "proves_unsent", lambda self, error: "Connect" in type(error).__name__
    )

    assert stage.play(ROWS["effect, then reset"], FOREIGN, "vultr").emails == 2


def test_believing_an_early_look_invites_twice(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account.Call, "grace", 0.0)
    row = ROWS["late effect, after 12 s"]
    hasty = stage.play(row, "httpx", "vultr")
    monkeypatch.undo()

    assert (hasty.creates, hasty.tried) == (1, 2)
    assert stage.play(row, "httpx", "vultr").tried == 1


@pytest.mark.parametrize("column", ["httpx", "httpx async", "httpx2", "httpx2 async"])
def test_reusing_a_connection_with_trailing_bytes_returns_the_wrong_answer(
    column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream.Stream, "_keep_last", lambda self, data: data)

    with Stage() as stage, pytest.raises(MalformedResponse):
        stage.play(ROWS["answered twice"], column, "vultr")
