# SPDX-License-Identifier: Apache-2.0
"""AsyncVectorDBClient: the same methods as coroutines, over one connection."""

import asyncio

import lynse
import pytest
from lynse import AsyncVectorDBClient
from lynse.errors import AlreadyExists, Invalid, Io, ShuttingDown, Unauthorized

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
