"""One `invite`, `status` or `resend` at a time, sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import requests
from aitronos import Aitronos, AsyncAitronos

from benchmarks import contenders
from benchmarks.aitronos import VERBS, Recorded, provider
from benchmarks.contenders import KEY
from benchmarks.measure import Block, Measured, in_turns
from benchmarks.server import serving
from guestlist import AsyncGuestlist, Guestlist
from guestlist_aitronos.sandbox import seed

CALLS, ROUNDS = 40, 15
