"""`python -m guestlist.cli`: the same as `guestlist`."""

import sys

from guestlist.cli import main

sys.exit(main())
