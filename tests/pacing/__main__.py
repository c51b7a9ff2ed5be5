"""Prints what the pace achieves: `python -m tests.pacing [--real SECONDS]`.

On virtual time: a bulk of calls by 1, 8 and 32 callers of one client, over a network on which each
way takes a random time up to the jitter. With `--real`, against a sandbox over sockets besides.
"""

from __future__ import annotations

import argparse

from tests.pacing.realtime import ALLOWED, KINDS, against_sandbox
from tests.pacing.traffic import CASES, bulk

JITTERS = (0.0, 0.02, 0.035, 0.05, 0.1)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m tests.pacing", description=__doc__)
    options.add_argument("--calls", type=int, default=5000, help="of each row (default 5000)")
    options.add_argument("--real", type=float, default=0.0, help="seconds of each real-time row")
    chosen = options.parse_args()
    print(f"{'limit, counted as':18} {'callers':>7} {'jitter':>7} {'used':>7} {'429':>5}")
    for case in CASES:
        for callers in (1, 8, 32):
            for jitter in JITTERS:
                traffic = bulk(case, callers, chosen.calls, jitter=jitter)
                used, refused = traffic.share(case.per_second), traffic.statuses[429]
                milliseconds = f"{jitter * 1000:.0f} ms"
                print(f"{case.name:18} {callers:7} {milliseconds:>7} {used:7.2%} {refused:5}")
    if not chosen.real:
        return
    calls = int(chosen.real * ALLOWED)
    for kind in KINDS:
        for rate in ("bucket", "window"):
            seen = against_sandbox(kind, rate, callers=32, calls=calls)
            what, refused = f"30/s {rate}, {kind}", seen.statuses[429]
            print(f"{what:26} {32:7} {'':7} {seen.share:7.2%} {refused:5}  (real time)")


if __name__ == "__main__":
    main()
