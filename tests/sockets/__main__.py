"""Plays the matrix and prints its table: `python -m tests.sockets`."""

from __future__ import annotations

import sys

import pytest

sys.exit(pytest.main(["-q", "-s", "--no-header", "-m", "", "tests/sockets/test_matrix.py"]))
