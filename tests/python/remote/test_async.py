# SPDX-License-Identifier: Apache-2.0
"""AsyncVectorDBClient: the same methods as coroutines, over one connection."""

import asyncio
import contextlib
import threading
import time

import lynse
import msgpack
import pytest
from fake_server import Fake, Vanishing, answer, hang_up_after
from lynse import AsyncVectorDBClient, address, pipelined
from lynse.errors import (
    AlreadyExists,
    Deadline,
    Invalid,
    Io,
    LynseError,
    OutcomeUnknown,
    ShuttingDown,
    Unauthorized,
)
from lynse.pipelined import PipelinedTransport

ROW = [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("kind", ["rpc", "unix"])
def test_a_life(served, kind):
    async def live():
        async with AsyncVectorDBClient(served().uri(kind), served().api_key) as client:
            database = await client.create_database("async", drop_if_exists=True)
            docs = await database.require_collection("docs", dim=4)
            added = [docs.add(ids=i, vectors=ROW, fields={"n": i}) for i in range(200)]
            assert sorted(await asyncio.gather(*added)) == list(range(200))
            searches = [docs.search(ROW, k=1, where=f"n = {i}") for i in range(200)]
            found = await asyncio.gather(*searches)
            assert [one.ids.tolist() for one in found] == [[i] for i in range(200)]
            assert await docs.shape() == (200, 4)
            pages = docs.search_pages(ROW, k=90, where="n < 150")
            assert [len(page) async for page in pages] == [90, 60]
            score = """function(n, distance, field, out)
              for i = 0, n - 1 do out[i] = -field.n[i] end
            end"""
            found = await docs.search(ROW, k=1, score=score, score_mode="beam")
            assert found.ids.tolist() == [199]
            with pytest.raises(Invalid, match="score_mode"):
                await docs.search(ROW, k=1, score=score, score_mode="some")
            with pytest.raises(Invalid, match="k"):
                [page async for page in docs.search_pages(ROW, k=0)]
            with pytest.raises(AlreadyExists):
                await docs.add(ids=1, vectors=ROW)
            assert await docs.delete(where="n < 10") == 10
        with pytest.raises(ShuttingDown):
            await client.list_databases()

    asyncio.run(live())


def test_what_cannot_be_opened(served, tmp_path):
    async def enter(*arguments):
        async with AsyncVectorDBClient(*arguments):
            pass

    with pytest.raises(Unauthorized):
        asyncio.run(enter(served().uri("rpc"), "wrong"))
    with pytest.raises(Io, match="no connection"):
        asyncio.run(enter(f"unix:{tmp_path}/none"))
    for uri in ("./folder", served().uri("http")):
        with pytest.raises(Invalid):
            AsyncVectorDBClient(uri)


def test_every_method_is_there():
    for plain, made in (
        (lynse.Collection, lynse.aio.AsyncCollection),
        (lynse.Database, lynse.aio.AsyncDatabase),
        (lynse.VectorDBClient, AsyncVectorDBClient),
    ):
        assert {n for n in dir(plain) if n[0] != "_"} == {n for n in dir(made) if n[0] != "_"}


# ---- Connections that break ----


def ask(fake, *calls):
    async def run():
        async with AsyncVectorDBClient(fake.uri) as client:
            answers = []
            for method, *arguments in calls:
                answers.append(await getattr(client, method)(*arguments))
            return answers

    return asyncio.run(run())


def test_a_read_is_asked_again_once():
    fake = Fake(hang_up_after(1, 1), answer(1))
    assert ask(fake, ["list_databases"]) == [[]]
    assert fake.seen == ["list_databases"] * 3
    with pytest.raises(Io, match="connection was lost during list_databases"):
        ask(Fake(hang_up_after(1, 1), hang_up_after(0, 1)), ["list_databases"])


def test_a_write_that_may_have_arrived_is_not_sent_again():
    fake = Fake(hang_up_after(1, 1), answer(1))
    with pytest.raises(OutcomeUnknown, match="may or may not"):
        ask(fake, ["drop_database", "x"])
    assert fake.seen == ["list_databases", "drop_database"]


def test_of_a_write_that_cannot_be_sent_again_nothing_is_known():
    async def delete():
        where, loop = address.parse(Vanishing().uri), asyncio.get_running_loop()
        transport = PipelinedTransport(where, None, loop)
        params = {"request_id": "1" * 32}
        await asyncio.to_thread(transport.call, "delete", params, is_write=True)

    with pytest.raises(OutcomeUnknown, match="may or may not"):
        asyncio.run(delete())


def test_who_waits_for_a_connection_keeps_its_time(monkeypatch):
    """All calls wait for one connection that is made: not each for as long as all before it."""
    monkeypatch.setattr(pipelined, "GRACE_S", 0.0)
    is_over = threading.Event()

    def keep_silent(connection, requests):
        next(requests)
        is_over.wait(30)

    async def count():
        where = address.parse(Fake(keep_silent).uri)
        transport = PipelinedTransport(where, "key", asyncio.get_running_loop())
        ends = time.monotonic() + 0.5
        calls = (asyncio.to_thread(transport.call, "count", {}, deadline=ends) for _ in range(5))
        return await asyncio.gather(*calls, return_exceptions=True)

    said = asyncio.run(count())
    is_over.set()
    assert [str(one).endswith("count could not be sent in time") for one in said] == [True] * 5
    assert {type(one) for one in said} == {Deadline}


def test_a_client_that_is_closed_while_it_connects_leaves_no_connection():
    is_asked, is_closed, is_over = (threading.Event() for _ in range(3))

    def hesitate(connection, requests):
        request = next(requests)
        is_asked.set()
        assert is_closed.wait(10)
        connection.sendall(msgpack.packb([1, request[1], None, {"status": "ok"}]))
        assert next(requests, None) is None
        is_over.set()

    fake = Fake(hesitate)

    async def count():
        loop = asyncio.get_running_loop()
        transport = PipelinedTransport(address.parse(fake.uri), "key", loop)
        ends = time.monotonic() + 10
        counting = asyncio.to_thread(transport.call, "count", {}, deadline=ends)
        counting = asyncio.ensure_future(counting)
        assert await asyncio.to_thread(is_asked.wait, 10)
        transport.close()
        loop.call_soon(is_closed.set)
        with pytest.raises(ShuttingDown):
            await counting
        assert await asyncio.to_thread(is_over.wait, 10)

    asyncio.run(count())
    assert fake.seen == ["authenticate"]


def test_a_lost_connection_is_made_anew(served):
    """Also for writes that are under way when the server goes: their ids tell it what it has."""
    server = served()

    async def live():
        async with AsyncVectorDBClient(server.uri("unix"), server.api_key) as client:
            database = await client.create_database("again", drop_if_exists=True)
            docs = await database.require_collection("docs", dim=4)
            await docs.add(ids=1, vectors=ROW)
            server.kill()
            with pytest.raises(Io, match="no connection"):
                await docs.count()
            server.start()
            assert await docs.add(ids=2, vectors=ROW) == 2
            adds = [asyncio.ensure_future(docs.add(ids=i, vectors=ROW)) for i in range(3, 103)]
            await asyncio.sleep(0.01)
            server.kill()
            server.start()
            said = await asyncio.gather(*adds, return_exceptions=True)
            lost = (Io, OutcomeUnknown)  # nobody listened while it started
            for i in [i + 3 for i, one in enumerate(said) if isinstance(one, lost)]:
                await docs.upsert(ids=i, vectors=ROW)
            assert all(one == i + 3 or isinstance(one, lost) for i, one in enumerate(said)), said
            assert await docs.count() == 102

    asyncio.run(live())


HOSTILE = {
    "a number of no call": [1, [], None, {}],
    "no answer": {"a": 1},
    "a retry that is no number": [1, 1, [19, "busy", {"retry_after_ms": {}}], None],
}


@pytest.mark.parametrize("nonsense", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_server_that_answers_nonsense_keeps_nobody_waiting(nonsense):
    async def serve(reader, writer):
        await reader.read(1)
        writer.write(msgpack.packb(nonsense))
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    async def enter():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            async with AsyncVectorDBClient(f"lynse://127.0.0.1:{port}"):
                pass
        finally:
            server.close()

    with pytest.raises(LynseError):
        asyncio.run(asyncio.wait_for(enter(), 20))
