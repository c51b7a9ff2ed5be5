"""The command line as a process of its own: `guestlist`, and `python -m guestlist.cli`."""

import gc
import sys

from guestlist.cli import main


def program() -> int:
    """Runs the command line, and returns the exit code.

    What is loaded stays to the end. The garbage collector would look through all of it again and
    again meanwhile, and once more at the end, which takes a fifth of the time of a short command.
    """
    if not hasattr(gc, "freeze"):  # another Python, whose collector is another one
        return main()
    gc.disable()
    try:
        return main(when_loaded=_keep)
    finally:
        gc.freeze()


def _keep() -> None:
    gc.freeze()
    gc.enable()


if __name__ == "__main__":
    sys.exit(program())
