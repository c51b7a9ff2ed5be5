"""The machine and the versions that figures belong to."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

CORES = sorted(os.sched_getaffinity(0))
"""Those that this process may use, as it was started."""

LIBRARIES = ("httpx", "httpcore", "httpx2", "aiohttp", "requests", "aitronos-sdk", "pydantic")


def machine() -> dict[str, str]:
    """What has to be known about a figure besides the figure."""
    return {
        "processor": f"{len(CORES)} cores, {_processor()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
