"""Whether a tag, pyproject.toml and CHANGELOG.md speak of one version that can be published.

python scripts/check_release.py v0.2.0
"""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path

PACK = Path(__file__).resolve().parents[1]
VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)
HEADING = re.compile(r"^## \[(.+?)\](?: - (.*))?$", re.MULTILINE)
PLACEHOLDER = "OWNER"  # stands in pyproject.toml until the project has a home


def problems(tag: str, pyproject: str, changelog: str) -> list[str]:
    """Sentences about everything that keeps a tag from being published; none if nothing does.

    Args:
        tag: as pushed, ``v0.2.0``.
        pyproject: text of pyproject.toml.
        changelog: text of CHANGELOG.md.
    """
    version = tag.removeprefix("v")
    if not tag.startswith("v") or not VERSION.fullmatch(version):
        return [f"The tag '{tag}' is not vX.Y.Z; tag the release as for example v0.2.0."]
    found = re.search(r'^version = "(.*)"$', pyproject, re.MULTILINE)
    said = found.group(1) if found else "nothing"
    sentences = [] if said == version else [f"pyproject.toml says version {said}, the tag {version}; make them equal."]
    if PLACEHOLDER in pyproject:
        sentences.append(f"pyproject.toml still says {PLACEHOLDER}; put the publisher and the repository there.")
    return sentences + _problems_of_changelog(version, changelog)


def _problems_of_changelog(version: str, changelog: str) -> list[str]:
    """Sentences about a changelog whose newest section should be of a version."""
    pieces = HEADING.split(changelog)  # before the first heading, then name, date and text of each section
    sections = list(zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True))
    if sections and sections[0][0] == "Unreleased":
        if sections[0][2].strip():
            return [f"CHANGELOG.md has entries under Unreleased; move them under ## [{version}] - YYYY-MM-DD."]
        sections = sections[1:]
    if not sections or sections[0][0] != version:
        newest = sections[0][0] if sections else "none"
        return [f"The newest version of CHANGELOG.md is {newest}, the tag {version}; add ## [{version}] - YYYY-MM-DD."]
    _, day, text = sections[0]
    sentences = []
    if not _is_date(day or ""):
        sentences.append(f"Version {version} of CHANGELOG.md has no date; write ## [{version}] - YYYY-MM-DD.")
    if not text.strip():
        sentences.append(f"Version {version} of CHANGELOG.md has no entries; say what is new in it.")
    return sentences


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def main() -> int:
    if len(sys.argv) != 2:
        print("Give the tag, for example: python scripts/check_release.py v0.2.0", file=sys.stderr)
        return 2
    missing = [name for name in ("pyproject.toml", "CHANGELOG.md") if not (PACK / name).is_file()]
    if missing:
        print(f"{', '.join(missing)} is missing; run this in a checkout.", file=sys.stderr)
        return 2
    texts = [(PACK / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "CHANGELOG.md")]
    found = problems(sys.argv[1], *texts)
    print("\n".join(found) or f"{sys.argv[1]} can be published.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
