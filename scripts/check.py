"""Every check of the project, one tier a process: lint, types, unit, host, parity, e2e, browser, gpu.

    python scripts/check.py
    python scripts/check.py --only unit host
    python scripts/check.py --skip browser

A tier that cannot run fails, unless it is left out by name; only gpu is passed over without a CUDA device. Logs and reports go to artefacts/check.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from comfy_host import (
    DEFAULT_VERSION,
    HOME,
    PACK,
    SOURCES,
    Host,
    SetupError,
    ensure_developer_packages,
    ensure_private_host,
)
from comfy_host.browser import ensure_browser
from comfy_host.files import write_atomic
from comfy_host.python import runs

REPORTS = PACK / "artefacts" / "check"
LIMIT_SECONDS = 1800
TAIL_LINES = 60


@dataclass
class Result:
    """What came of one tier.

    Attributes:
        state: ``passed``, ``failed``, or words on why there was nothing to do.
    """

    tier: str
    state: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    output: str = ""


@dataclass(frozen=True)
class Tier:
    """One row of the table: a pytest folder, or plain commands."""

    name: str
    folder: str = ""
    version: str = DEFAULT_VERSION
    commands: tuple[tuple[str, ...], ...] = ()
    ignore: tuple[str, ...] = ()
    marks: str = ""


# The longest first: two run at a time.
TIERS = (
    Tier("e2e", "tests/e2e", ignore=("tests/e2e/browser",)),
    Tier("browser", "tests/e2e/browser"),
    *(
        Tier(f"host-{version}", "tests/host", version, marks="" if version == DEFAULT_VERSION else "not newest_host")
        for version in reversed(SOURCES)
    ),
    Tier("parity", "tests/parity"),
    Tier("types", commands=(("-m", "pyright", "-p", ".host/pyright.json"),)),
    Tier("unit", "tests/unit"),
    Tier(
        "lint",
        commands=(("-m", "ruff", "check", "."), ("-m", "ruff", "format", "--check", "."), ("-m", "codespell_lib")),
    ),
    Tier("gpu", "tests/gpu"),
)


def wanted(tier: Tier, names: list[str]) -> bool:
    """Whether a tier is meant by one of the names; ``host`` means it on every version."""
    return tier.name in names or tier.name.split("-")[0] in names


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    names = sorted({tier.name.split("-")[0] for tier in TIERS} | {tier.name for tier in TIERS})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=names, metavar="TIER", default=[], help=", ".join(names))
    parser.add_argument("--skip", nargs="+", choices=names, metavar="TIER", default=[], help="leave these out")
    return parser.parse_args(arguments)


def counts(report: Path) -> tuple[int, int, int]:
    """(passed, failed, skipped) of a JUnit file, zeros when there is none."""
    try:
        suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    except (OSError, ElementTree.ParseError):
        return 0, 0, 0
    total, failed, skipped = (
        sum(int(suite.get(key, 0)) for suite in suites for key in keys)
        for keys in (("tests",), ("failures", "errors"), ("skipped",))
    )
    return max(total - failed - skipped, 0), failed, skipped


def write_pyright_settings(host: Host) -> None:
    """Point pyright at the host's modules; everything else is in pyproject.toml.

    NumPy's stubs need 3.12: read as an older Python, half of them are of unknown type.
    """
    paths = [str(host.comfyui), str(PACK / "scripts"), str(PACK / "tests")]
    settings = {
        "extends": "../pyproject.toml",
        "extraPaths": paths,
        "venvPath": ".",
        "venv": "venv",
        "pythonVersion": "3.12",
    }
    write_atomic(HOME / "pyright.json", json.dumps(settings))


def execute(command: list[str], environment: dict[str, str], log: Path) -> int:
    """Run one process with its output added to a log; 124 when it took too long."""
    with open(log, "ab") as file:
        process = subprocess.Popen(
            command, cwd=PACK, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            return process.wait(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            return 124
        finally:
            end(process)


def end(process: subprocess.Popen) -> None:
    """Stop a tier as Ctrl-C would, so that pytest ends the servers it started; after that, by force."""
    if process.poll() is not None:
        return
    if sys.platform == "win32":
        process.terminate()
    else:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run_tier(tier: Tier, host: Host, environment: dict[str, str]) -> Result:
    """Run one tier to its end."""
    log, report = REPORTS / f"{tier.name}.log", REPORTS / f"{tier.name}.xml"
    log.write_bytes(b"")
    report.unlink(missing_ok=True)
    commands = [[host.python, *command] for command in tier.commands]
    if tier.folder:
        ignored = [f"--ignore={path}" for path in tier.ignore]
        options = [*ignored, *(["-m", tier.marks] if tier.marks else []), f"--junitxml={report}", "--durations=5"]
        commands = [[host.python, "-m", "pytest", tier.folder, *options]]
    began = time.monotonic()
    codes = [execute(command, environment, log) for command in commands]
    bad = [code for code in codes if code]
    passed, failed, skipped = counts(report) if tier.folder else (len(codes) - len(bad), len(bad), 0)
    if bad and not failed:
        failed = 1
    output = log.read_text(encoding="utf-8", errors="replace")
    state = "failed" if bad else "passed"
    if bad == [5]:
        state = "failed: no test was found"
    elif bad == [124]:
        state = f"failed: ended after {LIMIT_SECONDS} s"
    return Result(tier.name, state, passed, failed, skipped, time.monotonic() - began, output)


def prepare(tier: Tier, host: Host) -> tuple[Host, dict[str, str]]:
    """Everything that a tier needs before it starts.

    Raises:
        SetupError: it cannot run here, and why.
    """
    threads = str(max(1, (os.cpu_count() or 2) // 2))
    # Compiled modules are kept out of the checkout, but kept: compiling torch and ComfyUI anew takes each tier a while.
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "PYTHONPYCACHEPREFIX": str(HOME / "pycache")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    own = host if tier.version == DEFAULT_VERSION else ensure_private_host(tier.version)
    environment["COMFYUI_DIR"] = str(own.comfyui)
    if tier.name == "browser":
        environment["CHROME"] = ensure_browser(HOME / "setup.log")
    return own, environment


def check(tier: Tier, host: Host) -> Result:
    """Prepare and run one tier; a tier that cannot run is a failed one."""
    if tier.name == "gpu" and runs([host.python], "import torch; assert torch.cuda.is_available()") is None:
        return Result(tier.name, "no CUDA device")
    try:
        own, environment = prepare(tier, host)
    except SetupError as error:
        return Result(tier.name, f"could not run: {error}", failed=1)
    return run_tier(tier, own, environment)


def show(result: Result) -> None:
    """One line when a tier ends, and its last lines when it failed."""
    print(f"{result.tier}: {result.state} ({result.passed} passed, {result.seconds:.0f} s)", flush=True)
    if result.failed and result.output:
        tail = "\n    ".join(result.output.splitlines()[-TAIL_LINES:])
        print(f"    {tail}", flush=True)


def table(results: list[Result], seconds: float) -> str:
    """The summary, closed by the line that counts everything."""
    lines = ["", f"{'tier':<12} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}  result"]
    for row in results:
        lines.append(
            f"{row.tier:<12} {row.passed:>7} {row.failed:>7} {row.skipped:>8} {row.seconds:>8.0f}  {row.state}"
        )
    passed, failed, skipped = (sum(getattr(row, key) for row in results) for key in ("passed", "failed", "skipped"))
    lines += [
        f"{'':<12} {'':>7} {'':>7} {'':>8} {seconds:>8.0f}  in all",
        "",
        f"{passed} passed, {failed} failed, {skipped} skipped",
    ]
    return "\n".join(lines)


def set_up() -> Host:
    """The private hosts and the developer packages; a user's own ComfyUI is never used here."""
    host = ensure_private_host()
    ensure_developer_packages(host)
    write_pyright_settings(host)
    REPORTS.mkdir(parents=True, exist_ok=True)
    return host


def main() -> int:
    options = parse()
    tiers = [
        tier for tier in TIERS if not wanted(tier, options.skip) and (not options.only or wanted(tier, options.only))
    ]
    if not tiers:
        print("error: nothing is left to check; give other tiers to --only and --skip.", file=sys.stderr)
        return 2
    began = time.monotonic()
    try:
        host = set_up()
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Checking {', '.join(tier.name for tier in tiers)} ...", flush=True)
    results = []
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=2)
    try:
        for future in concurrent.futures.as_completed([pool.submit(check, tier, host) for tier in tiers]):
            results.append(future.result())
            show(results[-1])
    finally:
        pool.shutdown(wait=True, cancel_futures=True)  # Ctrl-C reaches the running tiers and starts no other
    order = [tier.name for tier in tiers]
    results.sort(key=lambda row: order.index(row.tier))
    print(table(results, time.monotonic() - began))
    return 1 if any(row.failed for row in results) else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
