"""How check.py counts and chooses."""

import check
import pytest


def test_names_choose_tiers():
    versions = [tier.name for tier in check.TIERS if check.wanted(tier, ["host"])]
    assert versions == ["host-0.30.0", "host-0.27.0", "host-0.20.1"]
    assert [tier.name for tier in check.TIERS if check.wanted(tier, ["host-0.27.0", "unit"])] == ["host-0.27.0", "unit"]
    with pytest.raises(SystemExit):
        check.parse(["--only", "nonsense"])


def test_report_counts_errors_as_failures(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text('<testsuites><testsuite tests="7" failures="1" errors="2" skipped="1"/></testsuites>')
    assert check.counts(report) == (3, 3, 1)
    assert check.counts(tmp_path / "none.xml") == (0, 0, 0)


def test_table_closes_with_the_sum():
    rows = [check.Result("unit", "passed", passed=5), check.Result("browser", "could not run: no Chrome", failed=1)]
    assert check.table(rows, 3.0).splitlines()[-1] == "5 passed, 1 failed, 0 skipped"
    assert "could not run: no Chrome" in check.table(rows, 3.0)


def test_a_tier_that_cannot_run_fails(monkeypatch):
    def refuse(tier, host):
        raise check.SetupError("No Chrome or Chromium was found.")

    monkeypatch.setattr(check, "prepare", refuse)
    result = check.check(check.Tier("browser", "tests/e2e/browser"), None)
    assert (result.failed, result.state) == (1, "could not run: No Chrome or Chromium was found.")


def test_a_tier_without_tests_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "REPORTS", tmp_path)
    monkeypatch.setattr(check, "execute", lambda command, environment, log: 5)
    host = check.Host("python", tmp_path, tmp_path, private=True)
    result = check.run_tier(check.Tier("parity", "tests/parity"), host, {})
    assert (result.failed, result.state) == (1, "failed: no test was found")


def test_only_the_newest_host_runs_the_tests_marked_for_it():
    marks = {tier.name: tier.marks for tier in check.TIERS if check.wanted(tier, ["host"])}
    assert marks == {"host-0.30.0": "", "host-0.27.0": "not newest_host", "host-0.20.1": "not newest_host"}
