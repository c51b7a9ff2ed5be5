"""Cells of CSV files: no spreadsheet runs them, and they are read back as they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestlist.spreadsheets import ACTIVE, escape_formula, unescape_formula


@pytest.mark.parametrize("cell", ["=1+1", "+tag@x.example", "-x", "@SUM(1)", "\tx", "'=1", "''+1"])
def test_a_cell_that_could_be_a_formula_is_guarded(cell: str) -> None:
    assert escape_formula(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "ada@example.com", "a=b", "'quoted'", "O'Hara@x.example"])
def test_any_other_cell_stays_as_it_is(cell: str) -> None:
    assert escape_formula(cell) == unescape_formula(cell) == cell


@given(st.text(alphabet=st.sampled_from(["'", "=", "-", "a", "\t", "\uff1d"])))
def test_a_guarded_cell_is_read_back(cell: str) -> None:
    assert not escape_formula(cell).startswith(ACTIVE)
    assert unescape_formula(escape_formula(cell)) == cell
