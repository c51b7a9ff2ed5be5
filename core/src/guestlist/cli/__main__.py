"""Entry point of the command line: `guestlist`, and `python -m guestlist.cli`."""

import gc
import sys

from guestlist.cli import main

YOUNG_OBJECTS = 50_000
"""Number of new objects after which garbage is collected. Commands load httpx when they send their
first request; with Python's default of 700, that alone would collect garbage sixty times."""


def program() -> int:
    """Runs the command line and returns the exit code.

    The garbage collector is off while modules are loaded, because they stay until the end. Checking
    them again and again, and once more at exit, takes a fifth of the time of a short command.
    """
    if not hasattr(gc, "freeze"):  # only CPython has gc.freeze
        return main()
    gc.disable()
    try:
        return main(when_loaded=_exclude_loaded)
    finally:
        gc.freeze()


def _exclude_loaded() -> None:
    """Excludes the loaded modules from garbage collection, and turns the collector on."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    gc.enable()


if __name__ == "__main__":
    sys.exit(program())
