import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, delete, select

from tastemaker.assistant.idempotency import Claim, Conflict, Idempotency, requests_table


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
        done, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
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
        assert (await Idempotency(engine, keep_s=-1).claim("k", "other")).turn_id is None

    asyncio.run(run())


def test_a_request_waits_for_one_that_another_gateway_works_on(engine: Engine) -> None:
    async def run() -> None:
        here, there = Idempotency(engine, lease_s=1.0), Idempotency(engine, lease_s=1.0)
        claim = await here.claim("k", "body")
        with pytest.raises(Conflict, match="another request"):
            await there.claim("k", "other")
        second = asyncio.ensure_future(there.claim("k", "body"))
        await asyncio.sleep(1.5)  # longer than the lease, which is renewed
        assert not second.done()
        here.finish(claim, "t1")
        here.release(claim)
        assert (await second).turn_id == "t1"

    asyncio.run(run())


def test_work_that_broke_off_in_another_gateway_is_done_here(engine: Engine) -> None:
    async def run() -> None:
        here, there = Idempotency(engine), Idempotency(engine)
        claim = await here.claim("k", "body")
        second = asyncio.ensure_future(there.claim("k", "body"))
        await asyncio.sleep(0.3)
        assert not second.done()
        here.release(claim)
        assert (await asyncio.wait_for(second, 5)).turn_id is None

    asyncio.run(run())


def test_work_of_a_gateway_that_died_is_anybodys(engine: Engine) -> None:
    async def begin() -> None:
        await Idempotency(engine, lease_s=0.5).claim("k", "body")

    async def go_on() -> None:
        claim = await asyncio.wait_for(Idempotency(engine).claim("k", "body"), 5)
        assert claim.turn_id is None

    asyncio.run(begin())  # its loop ends, and the renewing with it
    asyncio.run(go_on())


def test_gateways_that_lost_their_lease_end_without_an_error(engine: Engine) -> None:
    store = Idempotency(engine)
    claims = [Claim("k", "body", holder=str(n)) for n in range(8)]
    for _ in range(10):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda claim: store.finish(claim, f"t{claim.holder}"), claims))
        with engine.begin() as connection:
            assert len(connection.execute(select(requests_table)).all()) == 1
            connection.execute(delete(requests_table))


def test_one_of_many_gateways_does_the_work(engine: Engine) -> None:
    async def run() -> None:
        stores = [Idempotency(engine) for _ in range(5)]
        worked = []

        async def request(store: Idempotency) -> str:
            claim = await store.claim("k", "body")
            if claim.turn_id is not None:
                return claim.turn_id
            worked.append(store)
            await asyncio.sleep(0.05)
            store.finish(claim, f"t{len(worked)}")
            store.release(claim)
            return f"t{len(worked)}"

        assert set(await asyncio.gather(*map(request, stores * 2))) == {"t1"}
        assert len(worked) == 1

    asyncio.run(run())
