"""What keeps a tag from being published is said, all of it."""

import pytest
from check_release import problems

PROJECT = '[project]\nname = "zoetrope"\nversion = "0.2.0"\n'
CHANGES = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n### Added\n- A node.\n\n## [0.1.0] - 2026-11-01\n\n- First.\n"


def test_three_that_agree_can_be_published():
    assert problems("v0.2.0", PROJECT, CHANGES) == []
    assert problems("v0.2.0", PROJECT, CHANGES.replace("## [Unreleased]\n\n", "")) == []


@pytest.mark.parametrize(
    ("tag", "project", "changes", "says"),
    [
        ("0.2.0", PROJECT, CHANGES, "'0.2.0' is not vX.Y.Z"),
        ("v0.2", PROJECT, CHANGES, "'v0.2' is not vX.Y.Z"),
        ("v00.2.0", PROJECT, CHANGES, "'v00.2.0' is not vX.Y.Z"),
        ("v0.2.0", PROJECT, CHANGES.replace("2026-12-01", "2026-13-01"), "has no date"),
        ("v0.3.0", PROJECT, CHANGES.replace("0.2.0", "0.3.0"), "says version 0.2.0, the tag 0.3.0"),
        ("v0.2.0", "[project]\n", CHANGES, "says version nothing"),
        ("v0.2.0", PROJECT + 'PublisherId = "OWNER"\n', CHANGES, "still says OWNER"),
        ("v0.2.0", PROJECT, CHANGES.replace("[Unreleased]\n", "[Unreleased]\n\n- More.\n"), "entries under Unreleased"),
        (
            "v0.2.0",
            PROJECT,
            CHANGES.replace("0.2.0", "0.1.9"),
            "newest version of CHANGELOG.md is 0.1.9, the tag 0.2.0",
        ),
        ("v0.2.0", PROJECT, "# Changelog\n", "newest version of CHANGELOG.md is none"),
        ("v0.2.0", PROJECT, CHANGES.replace(" - 2026-12-01", ""), "has no date"),
        ("v0.2.0", PROJECT, CHANGES.replace("### Added\n- A node.\n", ""), "has no entries"),
    ],
)
def test_each_disagreement_is_a_sentence(tag, project, changes, says):
    (sentence,) = problems(tag, project, changes)
    assert says in sentence
