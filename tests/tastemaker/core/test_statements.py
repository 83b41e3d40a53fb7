import threading
from pathlib import Path

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from tastemaker.assistant.ledger import Entry, Ledger
from tastemaker.assistant.limits import Limits
from tastemaker.assistant.prices import Prices
from tastemaker.core.database import open_database
from tastemaker.core.statements import Statement, reading, writing
from tastemaker.data import event_log
from tastemaker.data.event_log import LiveEvent

TABLES = MetaData()
LAMPS = Table(
    "lamps",
    TABLES,
    Column("lamp_id", Integer, primary_key=True),
    Column("name", String(20), nullable=False, unique=True),
    Column("price", Float),
    Column("sold", Boolean, nullable=False),
)
ADD = Statement(insert(LAMPS).inline(), ["name", "price", "sold"])
ADD_NUMBERED = Statement(insert(LAMPS).returning(LAMPS.c.lamp_id), ["name", "price", "sold"])
DEARER = Statement(
    update(LAMPS)
    .where(LAMPS.c.name == bindparam("lamp"))
    .values(price=LAMPS.c.price + bindparam("more"))
)
UNSOLD = Statement(
    select(LAMPS.c.name, LAMPS.c.price, LAMPS.c.sold)
    .where(LAMPS.c.sold.is_(False), LAMPS.c.price > bindparam("least"), LAMPS.c.name != "broken")
    .order_by(LAMPS.c.price)
)


@pytest.fixture
def engine(each_database: Engine) -> Engine:
    TABLES.create_all(each_database)
    return each_database


def lamp(name: str, price: float, *, sold: bool = False) -> dict[str, object]:
    return {"name": name, "price": price, "sold": sold}


def test_rows_are_written_and_read_by_name(engine: Engine) -> None:
    with writing(engine) as direct:
        direct.run_many(ADD, [lamp("a", 3.5), lamp("b", 2.0), lamp("c", 9.0, sold=True)])
        first = direct.one(ADD_NUMBERED, lamp("d", 7.0)).lamp_id
        assert direct.one(ADD_NUMBERED, lamp("broken", 7.0)).lamp_id == first + 1
        assert direct.run(DEARER, {"lamp": "b", "more": 0.5}) == 1
        assert direct.run(DEARER, {"lamp": "nosuch", "more": 0.5}) == 0
    with reading(engine) as direct:
        found = direct.all(UNSOLD, {"least": 2.25})
        assert direct.one(UNSOLD, {"least": 100.0}) is None
    assert [(row.name, row.price, bool(row.sold)) for row in found] == [
        ("b", 2.5, False),
        ("a", 3.5, False),
        ("d", 7.0, False),
    ]


def test_what_fails_leaves_nothing_and_is_an_error_of_sqlalchemys(engine: Engine) -> None:
    def broken_off(*, twice: bool = False) -> None:
        with writing(engine) as direct:
            direct.run(ADD, lamp("a", 1.0))
            direct.run(ADD, lamp("a" if twice else "b", 2.0))
            raise ZeroDivisionError

    def lacking() -> None:
        with writing(engine) as direct:
            direct.run(ADD, lamp("a", 1.0))
            direct.run(DEARER, {"lamp": "a"})

    with pytest.raises(IntegrityError, match=r"(?i)unique"):
        broken_off(twice=True)
    with pytest.raises(ZeroDivisionError):
        broken_off()
    with pytest.raises((KeyError, ProgrammingError), match="more"):
        lacking()
    with writing(engine) as direct:  # and the connection goes on
        assert direct.all(UNSOLD, {"least": 0.0}) == []


def test_a_value_that_must_be_converted_is_refused(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/a.db")
    table = Table("shelf", MetaData(), Column("shelf_id", Integer), Column("items", JSON))
    with pytest.raises(ValueError, match="items: a JSON"), reading(engine) as direct:
        direct.all(Statement(select(table)), {})


def test_threads_of_either_kind_write_one_after_another(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/a.db")
    TABLES.create_all(engine)
    event.listen(engine, "connect", lambda opened, _: opened.execute("pragma busy_timeout=0"))
    engine.dispose()  # from here on a writer that finds another at work fails at once

    def raw(names: range) -> None:
        for name in names:
            with writing(engine) as direct:
                direct.run(ADD, lamp(str(name), 1.0))
                direct.run(DEARER, {"lamp": str(name), "more": 1.0})

    def core(names: range) -> None:
        for name in names:
            with engine.begin() as connection:
                connection.execute(insert(LAMPS), lamp(str(name), 1.0))

    works = [(raw, range(0, 40)), (core, range(40, 80)), (raw, range(80, 120))]
    threads = [threading.Thread(target=do, args=(names,)) for do, names in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(engine) as direct:
        found = direct.all(UNSOLD, {"least": 0.0})
    assert len(found) == 120
    assert sum(row.price == 2.0 for row in found) == 80


def test_a_database_that_is_gone_is_an_operational_error(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/a.db")
    with pytest.raises(OperationalError, match="no such table"), reading(engine) as direct:
        direct.all(UNSOLD, {"least": 0.0})


def test_the_statements_of_a_turn_run_on_it(engine: Engine) -> None:
    """Those that a turn leaves: ledger, spend, events, tombstones."""
    limits, ledger = Limits(engine), Ledger(engine, Prices.read())
    click = LiveEvent("ada", "s1", "i1", "closeup", "assistant", 5_000)
    seen = LiveEvent("ada", "s1", "i2", "impression", "assistant", 5_000)
    event_log.forget_user(engine, "ada", now_ms=4_000)
    before = event_log.next_id(engine)
    with writing(engine) as direct:
        ledger.add(direct, [Entry("t1", "tool", "search_items", "free", 1, ms=0.5)])
        spent = [limits.charge(direct, "web", cents).cents for cents in (0.5, 0.25)]
        assert not event_log.forgotten_since(direct, "ada", 4_001)
        assert event_log.forgotten_since(direct, "ada", 4_000)
        assert event_log.add(direct, [seen, click]) == [before + 1]
        old = LiveEvent("ada", "s1", "i3", "save", "assistant", 4_000)
        assert event_log.add(direct, [old]) == []  # from before she was forgotten
    assert spent[1] - spent[0] == 0.25
    (line,) = ledger.of_turn("t1")
    assert (line["name"], line["ms"]) == ("search_items", 0.5)
    assert [event.item_id for event in event_log.of_user(engine, "ada")] == ["i1"]
