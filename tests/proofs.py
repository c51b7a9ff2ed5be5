"""Parameters of tests that are proofs: only `pytest -m proof` runs them."""

from __future__ import annotations

from typing import Any

import pytest


def proofs(*cases: Any) -> list[Any]:
    """Returns parameters, each a value or a tuple of values, that are marked as proofs."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.proof)
        for case in cases
    ]
