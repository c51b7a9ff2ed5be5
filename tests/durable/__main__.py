"""Proves what durable runs promise, and prints the figures: `python -m tests.durable PROOF`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.durable import bench, kills, postgres


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m tests.durable", description=__doc__)
    proofs = options.add_subparsers(dest="proof", required=True, metavar="PROOF")
    for name, told in (
        ("sqlite", "kill -9 of the one process that works on a file"),
        ("postgres", "kill -9 of four workers on a server; one stays dead"),
    ):
        proof = proofs.add_parser(name, help=told)
        proof.add_argument("--orders", type=int, default=20_000)
        proof.add_argument("--kills", type=int, default=200)
        proof.add_argument("--faults", type=float, default=0.05, help="share of the invitations")
        proof.add_argument("--seed", type=int, default=1)
    throughput = proofs.add_parser("throughput", help="orders per second and process")
    throughput.add_argument("--orders", type=int, default=5_000)
    throughput.add_argument("--profile", action="store_true")
    proofs.add_parser("memory", help="resident memory of 10,000 to 1,000,000 orders")
    proofs.add_parser("restart", help="seconds from exec to the first byte, with 1,000,000 rows")
    chosen = options.parse_args()
    how = {name: getattr(chosen, name, None) for name in ("kills", "seed")}
    if chosen.proof == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "guestlist.db"
            print(kills.on_sqlite(place, count=chosen.orders, share=chosen.faults, **how))
    elif chosen.proof == "postgres":
        with postgres.running() as server:
            print(kills.on_postgres(server.url, count=chosen.orders, share=chosen.faults, **how))
    elif chosen.proof == "throughput":
        print(bench.throughput(chosen.orders, profile=chosen.profile))
    elif chosen.proof == "memory":
        print(bench.memory())
    else:
        print(bench.restart())


if __name__ == "__main__":
    main()
