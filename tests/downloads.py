"""The environment of programs that download something. Tests else trust no public authority."""

from __future__ import annotations

import os

AUTHORITIES = os.environ.get("SSL_CERT_FILE")
"""The file of the machine's authorities, read when a test module is imported: `tests/conftest.py`
sets another file for the time of the tests."""


def environment() -> dict[str, str]:
    """Returns the environment as it was before the tests began."""
    variables = {key: value for key, value in os.environ.items() if key != "SSL_CERT_FILE"}
    return variables if AUTHORITIES is None else {**variables, "SSL_CERT_FILE": AUTHORITIES}
