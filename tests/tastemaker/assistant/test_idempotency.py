import asyncio

import pytest
from sqlalchemy import Engine

from tastemaker.assistant.idempotency import Conflict, Idempotency


@pytest.fixture
def engine(each_database: Engine) -> Engine:
    return each_database


def test_a_finished_request_is_found_again_after_a_restart(engine: Engine) -> None:
    async def run() -> None:
        first = Idempotency(engine)
        claim = await first.claim("me\0k", "body")
        assert claim.turn_id is None
        first.finish(claim, "t1")
        first.release(claim)
        assert (await first.claim("me\0k", "body")).turn_id == "t1"
        assert (await Idempotency(engine).claim("me\0k", "body")).turn_id == "t1"
        assert (await first.claim("you\0k", "body")).turn_id is None

    asyncio.run(run())


def test_a_second_request_waits_for_the_first(engine: Engine) -> None:
    async def run() -> None:
        store = Idempotency(engine)
        claim = await store.claim("k", "body")
        second = asyncio.ensure_future(store.claim("k", "body"))
        await asyncio.sleep(0.01)
        assert not second.done()
        store.finish(claim, "t1")
        store.release(claim)
        assert (await second).turn_id == "t1"

    asyncio.run(run())


def test_where_the_first_breaks_off_the_second_does_the_work(engine: Engine) -> None:
    async def run() -> None:
        store = Idempotency(engine)
        claim = await store.claim("k", "body")
        waiting = [asyncio.ensure_future(store.claim("k", "body")) for _ in range(3)]
        await asyncio.sleep(0.01)
        store.release(claim)
        done, left = await asyncio.wait(waiting, timeout=0.1)
        assert [task.result().turn_id for task in done] == [None]
        assert len(left) == 2
        second = done.pop().result()
        store.finish(second, "t2")
        store.release(second)
        assert {task.turn_id for task in await asyncio.gather(*left)} == {"t2"}

    asyncio.run(run())


def test_the_same_key_for_another_request_is_refused(engine: Engine) -> None:
    async def run() -> None:
        store = Idempotency(engine)
        claim = await store.claim("k", "body")
        with pytest.raises(Conflict, match="another request"):
            await store.claim("k", "other")
        store.finish(claim, "t1")
        store.release(claim)
        with pytest.raises(Conflict, match="another request"):
            await store.claim("k", "other")

    asyncio.run(run())


def test_keys_are_forgotten(engine: Engine) -> None:
    async def run() -> None:
        store = Idempotency(engine, keep_s=-1)
        claim = await store.claim("k", "body")
        store.finish(claim, "t1")
        store.release(claim)
        assert (await store.claim("k", "other")).turn_id is None

    asyncio.run(run())
