"""The command line as `python -m guestlist`."""

import sys

from guestlist.cli.__main__ import program

if __name__ == "__main__":
    sys.exit(program())
