"""The exception for error answers."""

from __future__ import annotations


class Refused(Exception):
    """An error answer with the body `{"error": text, "status": status}` (dossier 1.2)."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
