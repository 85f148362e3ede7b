"""How much memory and time the daemon takes for a backlog, in a process of its own; servers run in another.

    python -m bench.spine [--mails 2000] [--size 20000]

Prints a table; the last line is JSON. Compare ratios within one run, not walls across machines.
"""

import argparse
import json
import multiprocessing
import multiprocessing.connection
import resource
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from triaged import demo, log, schedule
from triaged.adapters.db import casebook
from triaged.demo import mails, servers


def serve(pipe: multiprocessing.connection.Connection, count: int, size: int) -> None:
    """The servers, with the backlog in one mailbox; lives until told to stop."""
    real = servers.Servers(("partners-com", "partners-eu"))
    filler = "Une ligne de texte comme il y en a dans tout message, ni longue ni courte.\n" * (size // 76)
    for number in range(count):
        body = f"Service : Zoho CRM\nSuper administrateur : it@acme.example\nNuméro {number}\n\n{filler}"
        letter = mails.Letter("", "partners-eu", "Claire <contact@integra.example>", f"Question {number}", body)
        at = datetime.now(UTC)
        real.deliver("partners-eu", mails.raw(letter, number, at), at)
    pipe.send((real.imap_port, real.smtp_port))
    pipe.recv()
    pipe.send(len(real.sent))
    real.stop()


def run(count: int, size: int) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, count, size))
    process.start()
    imap, smtp = ours.recv()
    folder = Path(tempfile.mkdtemp(prefix="triaged-bench-"))
    try:
        app = demo.install(folder, imap, smtp)
        log.configure("text", (folder / "triaged.log").open("w", encoding="utf-8"))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        start, cpu = time.monotonic(), time.process_time()
        troubles = schedule.run_once(app)
        wall, cpu = time.monotonic() - start, time.process_time() - cpu
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        with app.database.read() as session:
            decided = casebook.counts(session).get("decided", 0)
        ours.send("stop")
        sent = ours.recv()
    finally:
        process.join(30)
        shutil.rmtree(folder)
    if troubles:
        raise SystemExit(f"the run did not end well: {troubles}")
    return {
        "mails": count,
        "decided": decided,
        "sent": sent,
        "wall_s": round(wall, 2),
        "mails_per_s": round(count / wall, 1),
        "cpu_ms_per_mail": round(1000 * cpu / count, 2),
        "rss_before_mb": round(before, 1),
        "rss_peak_mb": round(after, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=2000)
    parser.add_argument("--size", type=int, default=20_000)
    options = parser.parse_args()
    result = run(options.mails, options.size)
    for name, value in result.items():
        print(f"{name:<18} {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
