"""Aitronos organizations for guestlist."""

from __future__ import annotations

from guestlist_aitronos.provider import Aitronos
from guestlist_aitronos.results import BulkResend, ResendFailure, Status

__all__ = ["Aitronos", "BulkResend", "ResendFailure", "Status"]
