"""How soon faults of fans are found, and how often a healthy node is suspected: noout's detection and others'.

    make bench-watch                       200 node-years without a fault, 200 traces of each fault; resumable
    make bench-watch BENCH=--quick         5 node-years, 12 traces of each fault: a minute or two

The detection is ``noout.watch`` itself. Its constants were chosen on seeds below 100,000; what is reported is of seeds
from 200,000 on, which it had not seen. Results are kept trace by trace in build/bench-watch.jsonl under a digest of the
code, so that a run that was cut short goes on where it was. ``--tables FILE`` writes the tables into a page.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.watch import detectors, traces
from benchmarks.watch.report import MARK, report

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
KEPT = ROOT / "build" / "bench-watch.jsonl"
TUNED, REPORTED = 0, 200_000  # first seeds
FAULTS: tuple[traces.Kind, ...] = ("flap", "mild", "wear", "dead", "erratic")
PERCENT_FAULTS: tuple[traces.Kind, ...] = ("flap", "mild", "dead")  # what percent can tell at all
A_YEAR = 365.0 / traces.DAYS

SPARED, SPARED_BUT = "noout, readings only", 4  # of healthy nodes it judges every fourth only

Job = tuple[int, traces.Board, traces.Kind]


def run(job: Job) -> dict[str, object]:
    """All detectors on one trace."""
    seed, board, kind = job
    trace = traces.trace(seed, board, kind)
    alarms, cpu_s, polls = {}, {}, traces.POLLS
    for name, detect in detectors.DETECTORS.items():
        if name == SPARED and kind == "none" and seed % SPARED_BUT:
            continue
        began = time.process_time()
        alarms[name] = detect(trace)
        cpu_s[name] = time.process_time() - began
    return {
        "job": list(job),
        "fault": trace.fault,
        "onset_s": trace.onset_s,
        "stops": [since for since, _ in trace.stops],
        "alarms": alarms,
        "cpu_s": cpu_s,
        "polls": polls if kind == "none" else 0,  # played to the end
    }


def jobs(first: int, node_years: float, faults: int) -> Iterator[Job]:
    """The healthy nodes of each board, then the faults. One in ten healthy nodes tells percent only."""
    for i in range(math.ceil(node_years * A_YEAR)):
        yield first + i, "percent" if i % 10 == 9 else "plain", "none"
    for i in range(math.ceil(node_years * A_YEAR / 10)):
        yield first + i, "standby", "none"
        yield first + i, "misconfigured", "none"
    for kind in FAULTS:
        for i in range(faults):
            yield first + i, "plain", kind
    for board in ("percent", "misconfigured", "standby"):
        for kind in PERCENT_FAULTS:
            for i in range(math.ceil(faults / 4)):
                yield first + i, board, kind  # type: ignore[misc]


def digest() -> str:
    """Of everything that a result depends on."""
    files = [*sorted((ROOT / "src/noout/watch").glob("*.py")), HERE / "traces.py", HERE / "detectors.py"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def kept(code: str) -> dict[Job, dict[str, object]]:
    """What an earlier run of the same code left."""
    if not KEPT.is_file():
        return {}
    rows = [json.loads(line) for line in KEPT.read_text().splitlines() if line.startswith(f'{{"code": "{code}"')]
    return {tuple(row["result"]["job"]): row["result"] for row in rows}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-watch", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5 node-years and 12 traces of each fault")
    parser.add_argument("--node-years", type=float, help="without a fault (200)")
    parser.add_argument("--faults", type=int, help="traces of each fault (200)")
    parser.add_argument("--tuning", action="store_true", help="on the seeds that constants are chosen on")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    parser.add_argument("--tables", type=Path, help="a page into which the tables are written")
    args = parser.parse_args()
    node_years = args.node_years or (5.0 if args.quick else 200.0)
    faults = args.faults or (12 if args.quick else 200)
    code = digest()
    wanted = list(jobs(TUNED if args.tuning else REPORTED, node_years, faults))
    done = kept(code)
    missing = [job for job in wanted if job not in done]
    KEPT.parent.mkdir(exist_ok=True)
    with KEPT.open("a", buffering=1) as file, ProcessPoolExecutor(args.jobs) as pool:
        for number, result in enumerate(pool.map(run, missing, chunksize=4), 1):
            done[tuple(result["job"])] = result  # type: ignore[arg-type, index]
            file.write(json.dumps({"code": code, "result": result}) + "\n")
            if number % 100 == 0:
                sys.stderr.write(f"{number} of {len(missing)} traces\n")
    text = report([done[job] for job in wanted], "tuning" if args.tuning else "reporting")
    sys.stdout.write(text + "\n")
    if args.tables:
        before, _, after = args.tables.read_text().partition(MARK[0])
        args.tables.write_text(f"{before}{MARK[0]}\n{text}\n{MARK[1]}{after.partition(MARK[1])[2]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
