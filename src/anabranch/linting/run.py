"""Runs rules over a project."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from anabranch.domain.names import nearest
from anabranch.errors import ConfigError, NotFound
from anabranch.linting.values import Choice, Finding, Level, Rule
from anabranch.ports.loader import Project


def lint(project: Project, rules: Sequence[Rule], choice: Choice, only: Collection[str] = ()) -> list[Finding]:
    """What the rules find, in the order of files and lines. ``only``: these rules, also where they are off.

    Raises:
        ConfigError: the project's choice names a rule or an asset that isn't there.
        NotFound: ``only`` does.
    """
    codes = [r.code for r in rules]
    _check(project, choice, codes)
    for code in only:
        if code not in codes:
            raise NotFound(f"there is no rule {code}", hint=_meant(code, codes))
    found: set[Finding] = set()
    for rule in rules:
        level = choice.levels[rule.code][0] if rule.code in choice.levels else rule.level
        if rule.code in only:
            level = Level.WARNING if level is Level.OFF else level
        elif only or level is Level.OFF:
            continue
        for each in rule.check(project):
            if each.asset is not None and each.asset in choice.ignore and rule.code in choice.ignore[each.asset][1]:
                continue
            where = each.where or (project.remarks.places.get(each.asset) if each.asset is not None else None)
            found.add(replace(each, where=where, rule=rule.code, level=level))
    return sorted(found, key=_place)


def _check(project: Project, choice: Choice, codes: Sequence[str]) -> None:
    named = [(code, where) for code, (_, where) in choice.levels.items()]
    named += [(code, where) for _, ignored in choice.ignore.values() for code, where in ignored.items()]
    for code, where in named:
        if code not in codes:
            raise ConfigError(f"there is no rule {code}", where=where, hint=_meant(code, codes))
    for asset, (where, _) in choice.ignore.items():
        if asset not in project.assets:
            near = nearest(asset, [str(a) for a in project.assets])
            hint = f"did you mean {near}?" if near else "drop the setting"
            raise ConfigError(f"lint.ignore speaks of {asset}, which doesn't exist", where=where, hint=hint)


def _meant(code: str, codes: Sequence[str]) -> str:
    near = nearest(code, list(codes))
    return f"did you mean {near}?" if near else f"rules: {', '.join(sorted(codes))}"


def _place(finding: Finding) -> tuple[str, int, int, str, str, str]:
    where = finding.where
    path, line, column = (str(where.path), where.line or 0, where.column or 0) if where is not None else ("", 0, 0)
    return path, line, column, finding.rule, finding.asset or "", finding.message
