"""The table of a storm, in words and as a part of docs/reliability.md."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from support.e2e.fuzz.judge import ACCEPTED, BROKEN, SENTENCE
from support.e2e.fuzz.storm import Result

BEGIN, END = "<!-- storm -->", "<!-- end of storm -->"


def table(results: Iterable[Result]) -> str:
    """Rows: classes of fault; columns: tried, sentence, accepted, broken."""
    counted: dict[str, Counter[str]] = {}
    for result in results:
        counted.setdefault(result.trial.fault, Counter())[result.verdict.kind] += 1
    rows = [
        (fault, *(kinds[kind] for kind in (SENTENCE, ACCEPTED, BROKEN))) for fault, kinds in sorted(counted.items())
    ]
    rows.append(("**all**", *(sum(row[column] for row in rows) for column in (1, 2, 3))))
    lines = [f"| {name} | {sum(numbers)} | {' | '.join(map(str, numbers))} |" for name, *numbers in rows]
    return "\n".join(["| class of fault | tried | sentence | accepted | broken |", "|---|---|---|---|---|", *lines])


def broken(results: Iterable[Result]) -> list[str]:
    """One line for each broken trial."""
    return [
        f"{result.trial.where}, {result.trial.fault}, {str(result.trial.value)[:200]!a}: {result.verdict.message[:600]!a}"
        for result in results
        if result.verdict.kind == BROKEN
    ]


def put_into(document: Path, text: str) -> None:
    """Replace what stands between the two marks of a document.

    Raises:
        ValueError: it has no such marks.
    """
    whole = document.read_text(encoding="utf-8")
    before, begin, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document.name} has no lines {BEGIN} and {END}.")
    document.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
