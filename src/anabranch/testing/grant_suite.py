"""What rights on relations obey on every Engine that has them: a part of :mod:`anabranch.testing.engine_suite`."""

from __future__ import annotations

from collections.abc import Sequence

from anabranch.ports.capabilities import Capability, Support
from anabranch.ports.engine import Engine, Grant, transaction
from anabranch.testing.engine_helpers import SCHEMA, SMALL, EnginePart, OpenEngine, at, failure


class GrantSuite(EnginePart):
    def grantees(self, engine: Engine) -> Sequence[str]:
        """Two at least, as the engine spells them, that it knows and that have no rights yet: an adapter's test makes
        them. Asked for where the engine claims ``GRANTS``."""
        raise NotImplementedError("make users or roles of the engine, and tell them")

    def rights(self, engine: Engine) -> Sequence[str]:
        """Two at least that there are on tables and views."""
        return ("INSERT", "SELECT")

    def _has_grants(self, engine: Engine) -> bool:
        self.look(Capability.GRANTS)
        return engine.capabilities[Capability.GRANTS] in (Support.FULL, Support.PARTLY)

    def test_grants_are_told_and_given(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        has_grants = self._has_grants(engine)
        odd = at(self.odd_relation)
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("table"), SMALL)
            session.create_table(odd, SMALL)
            session.point({at("p"): at("table"), at("q"): at("table")})
            there = [at("table"), odd, at("p"), at("q")]
            if not has_grants:
                assert not any(session.grants(there).values())
                session.grant(at("p"), [])
                error = failure(lambda: session.grant(at("p"), [Grant("SELECT", "somebody")]))
                assert error.kind == "NotSupported", "refused in so many words, before the engine was asked"
            else:
                one, other = self.grantees(engine)[:2]
                few, more = self.rights(engine)[:2]
                wanted = tuple(sorted([Grant(few, one), Grant(more, one), Grant(more, other)]))
                nothing = dict.fromkeys(there, ())
                assert session.grants([*there, at("nothing"), at("t", "no_schema")]) == nothing
                assert session.grants([]) == {}
                session.grant(at("p"), [])
                assert session.grants(there) == nothing
                session.grant(at("p"), wanted)
                assert session.grants(there) == {**nothing, at("p"): wanted}, "on this one, and on nothing else"
                session.grant(at("p"), wanted[:1])
                assert session.grants([at("p")]) == {at("p"): wanted}, "besides what there is"
                for each in (at("q"), at("table"), odd):
                    session.grant(each, session.grants([at("p")])[at("p")])
                assert session.grants(there) == dict.fromkeys(there, wanted), "what was told can be given to another"
        engine.close()
        if has_grants:
            with engine.session(read_only=True) as session:
                assert session.grants(there) == dict.fromkeys(there, wanted)
            engine.close()

    def test_grants_to_nobody_are_refused(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        if self._has_grants(engine):
            (one, *_), (right, *_) = self.grantees(engine), self.rights(engine)
            with engine.session() as session:
                session.create_schemas([SCHEMA])
                session.create_table(at("table"), SMALL)
                failure(lambda: session.grant(at("table"), [Grant(right, f"{one}_who_is_not_there")]))
                failure(lambda: session.grant(at("table"), [Grant(f"{right} ON x TO y; --", one)]))
                failure(lambda: session.grant(at("nothing"), [Grant(right, one)]))
                assert session.grants([at("table")]) == {at("table"): ()}
        engine.close()

    def test_grants_come_back_where_a_relation_is_another(self, open_engine: OpenEngine) -> None:
        """Asked for before, and given again after: so whoever replaces a relation keeps what was granted on it. An
        engine on which they stay by themselves takes them once more."""
        engine = open_engine()
        if self._has_grants(engine):
            one, other = self.grantees(engine)[:2]
            few, more = self.rights(engine)[:2]
            granted = tuple(sorted([Grant(few, one), Grant(more, other)]))
            with engine.session() as session:
                session.create_schemas([SCHEMA])
                session.create_table(at("old"), SMALL)
                session.create_table(at("new"), "SELECT true AS other, 1 AS id")
                session.point({at("p"): at("old")})
                session.create_view(at("view"), SMALL)
                for each in (at("p"), at("view"), at("old")):
                    session.grant(each, granted)
                for target in ("new", "old"):
                    kept = session.grants([at("p"), at("view")])
                    with transaction(session):
                        session.point({at("p"): at(target)})
                        session.create_view(at("view"), f"SELECT '{target}' AS found")
                        for each, rights in kept.items():
                            session.grant(each, rights)
                    assert session.targets([SCHEMA])[at("p")] == at(target)
                    assert session.grants([at("p"), at("view")]) == {at("p"): granted, at("view"): granted}
                # a table that takes another's place, as a table is made anew beside the one that is there
                kept = session.grants([at("old")])
                with transaction(session):
                    session.rename(at("old"), "spare")
                    session.rename(at("new"), "old")
                    session.grant(at("old"), kept[at("old")])
                assert session.grants([at("old")]) == {at("old"): granted}
                assert session.count(at("old")) == 1
                if self.claims(engine, Capability.TRANSACTIONAL_DDL):
                    session.create_table(at("bare"), SMALL)
                    session.begin()
                    session.grant(at("bare"), granted)
                    session.rollback()
                    assert session.grants([at("bare")]) == {at("bare"): ()}, "a grant is rolled back, too"
        engine.close()
