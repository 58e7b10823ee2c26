"""Says at the end how many cases there were."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows: dict[str, dict[str, int]] = {}
    for report in (r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, [])):
        told = dict(report.user_properties)
        if report.when == "call" and "scenario" in told:
            row = rows.setdefault(told["scenario"], {"events": told["events"], "cases": told["cases"], "run": 0})
            row["run"] += told["run"]
    if rows:
        terminalreporter.section("crash cases")
        for name, row in sorted(rows.items()):
            terminalreporter.write_line(f"{name}: {row['events']} events, {row['cases']} cases, {row['run']} run")
        terminalreporter.write_line(
            f"{sum(r['run'] for r in rows.values())} of {sum(r['cases'] for r in rows.values())}"
        )
