"""Proves what durable runs promise, and prints the figures: `python -m tests.durable PROOF`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests import postgres
from tests.durable import bench, kills


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
    memory = proofs.add_parser("memory", help="resident memory of runs of several sizes")
    memory.add_argument("--orders", type=int, nargs="+", default=bench.SIZES)
    proofs.add_parser("restart", help="seconds from exec to the first byte, with 1,000,000 rows")
    chosen = options.parse_args()
    if chosen.proof == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "guestlist.db"
            print(kills.on_sqlite(place, _fire(chosen)))
    elif chosen.proof == "postgres":
        with postgres.running(fsync=True) as server:
            print(kills.on_postgres(server.url, _fire(chosen)))
    elif chosen.proof == "throughput":
        print(bench.throughput(chosen.orders))
    elif chosen.proof == "memory":
        print(bench.memory(chosen.orders))
    else:
        print(bench.restart())


def _fire(chosen: argparse.Namespace) -> kills.Fire:
    return kills.Fire(chosen.orders, chosen.kills, chosen.faults, chosen.seed)


if __name__ == "__main__":
    main()
