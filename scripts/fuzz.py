"""A storm of odd values and damaged files over a real server, and the same good prompts before and after it.

    python scripts/in_host.py scripts/fuzz.py --seed 1 --prompts 3000 --files 1500 --servers 2 --document docs/reliability.md

Toy models, CPU; about an hour of one processor with these numbers. The same seed makes the same storm. Not part of
check.py, which runs a small share of it (tests/e2e/test_fuzz.py). What is broken is listed at the end; the exit status is
1 then. A storm that is stopped (Ctrl-C or SIGTERM) tries nothing more, runs the good prompts again, which takes a minute,
and says what it has; its exit status is 1 too. ``--report`` writes every trial as a line of JSON.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

from support.e2e.fuzz.files import Folders, bad_files  # noqa: E402
from support.e2e.fuzz.judge import ACCEPTED, BROKEN, SENTENCE, grown  # noqa: E402
from support.e2e.fuzz.prompts import Trial, odd_prompts  # noqa: E402
from support.e2e.fuzz.report import broken, put_into, table  # noqa: E402
from support.e2e.fuzz.storm import Result, results, storm  # noqa: E402
from support.e2e.server import MODELS, toy_host, write_base  # noqa: E402

# What no single trial answers for.
FAULTS = ("changed", "left over", "grown")


stopped = threading.Event()


def stop(*_: object) -> None:
    """Let every server end its storm after the trial that runs; a second signal ends the script at once."""
    stopped.set()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def trials(options: argparse.Namespace, folders: Folders, share: int) -> Iterator[Trial]:
    """This server's share of all trials, prompts first, until the storm is stopped."""
    mine = slice(share, None, options.servers)
    prompts = islice(odd_prompts(options.seed, options.prompts), mine.start, mine.stop, mine.step)
    files = bad_files(folders, options.seed * options.servers + share, options.files // options.servers)
    return takewhile(lambda _: not stopped.is_set(), chain(prompts, files))


def one_server(options: argparse.Namespace, share: int, work: Path) -> tuple[list[Result], dict[str, Any]]:
    """One server's storm.

    Returns:
        What each trial came to, and what changed from before it to after it.
    """
    base = write_base(work / f"base{share}")
    host = toy_host(Path(os.environ["COMFYUI_DIR"]), base, work / f"models{share}")
    folders = Folders((MODELS, work / f"models{share}"), work / f"models{share}", base / "input")
    seen: list[Result] = []
    with storm(host, options.patience) as weather, open(work / f"trials{share}.jsonl", "w", encoding="utf-8") as log:
        before, held = weather.digests(), weather.load()
        for result in results(weather, trials(options, folders, share)):
            seen.append(result)
            line = (
                result.trial.fault,
                result.trial.where,
                result.verdict.kind,
                round(result.seconds, 2),
                result.verdict.message,
            )
            print(json.dumps(line), file=log, flush=True)
            if len(seen) % 100 == 0:
                bad = sum(result.verdict.kind == BROKEN for result in seen)
                print(f"server {share + 1}: {len(seen)} trials, {bad} broken", flush=True)
        if seen and seen[-1].ends_the_storm:
            after, holds = dict.fromkeys(before, "not run"), held
        else:
            weather.clean()
            after, holds = weather.digests(), weather.load()
        changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
        facts = {
            "good prompts": len(before),
            "changed": changed,
            "left over": weather.leftovers(),
            "before": held,
            "after": holds,
            "grown": grown(held, holds),
        }
    return seen, facts


def summary(seen: list[Result], facts: list[dict[str, Any]], options: argparse.Namespace) -> str:
    """The storm in words, for the document."""
    lines = [table(seen), ""]
    for number, fact in enumerate(facts):
        held = ", ".join(f"{key} {fact['before'][key]} to {value}" for key, value in fact["after"].items())
        same = fact["good prompts"] - len(fact["changed"])
        lines.append(
            f"Server {number + 1}: {same} of {fact['good prompts']} good prompts bit-equal after the storm, "
            f"{len(fact['left over'])} files left over; {held}."
        )
    slowest = max((result.seconds for result in seen if result.verdict.kind != ACCEPTED), default=0.0)
    stop_note = ", stopped before its end" * stopped.is_set()
    lines.append(f"Seed {options.seed}{stop_note}; the slowest sentence took {slowest:.1f} s.")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--prompts", type=int, default=300)
    parser.add_argument("--files", type=int, default=150)
    parser.add_argument("--servers", type=int, default=1, help="so many at once, each with its share")
    parser.add_argument("--patience", type=float, default=1.0, help="factor of all time limits")
    parser.add_argument("--report", type=Path, help="folder for one line of JSON a trial")
    parser.add_argument("--document", type=Path, help="document whose table is replaced")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    with tempfile.TemporaryDirectory() as folder:
        work = options.report or Path(folder)
        (work / "temporary").mkdir(parents=True, exist_ok=True)
        os.environ["TMPDIR"] = str(work / "temporary")  # of the servers, so that what they leave is seen
        with ThreadPoolExecutor(options.servers) as pool:
            parts = list(pool.map(lambda share: one_server(options, share, work), range(options.servers)))
        left = sorted(path.name for path in (work / "temporary").iterdir() if path.name.startswith("zoetrope"))
    seen, facts = [result for part, _ in parts for result in part], [fact for _, fact in parts]
    text = summary(seen, facts, options)
    print(text, *broken(seen), sep="\n")
    for fact in facts:
        print(json.dumps({key: fact[key] for key in FAULTS}))
    if options.document and seen:
        put_into(options.document, text)
    kinds = {result.verdict.kind for result in seen}
    assert kinds <= {SENTENCE, ACCEPTED, BROKEN}
    bad = left or BROKEN in kinds or any(fact[key] for fact in facts for key in FAULTS)
    return int(bool(bad or stopped.is_set()))  # half a storm proves nothing


if __name__ == "__main__":
    sys.exit(main())
