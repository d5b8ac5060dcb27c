// SPDX-License-Identifier: Apache-2.0
// client.mjs — msgpack-RPC as its specification has it, by a client that is not ours, in a language
// that is not ours: @msgpack/msgpack and a socket.
//
//     node client.mjs PARTS ADDRESS KEY CASE
//
// PARTS is the folder with node_modules, ADDRESS a port of 127.0.0.1 or the path of a socket, CASE
// one of `cases`, which test_foreign_node.py finds here.  The exit status is 0 where it holds.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { join, resolve } from "node:path";

const [parts, address, key, chosen] = process.argv.slice(2);
const { encode, decodeMultiStream } = createRequire(join(resolve(parts), "x"))("@msgpack/msgpack");

class Failure extends Error {
  constructor([code, text, more]) {
    super(text);
    Object.assign(this, { code, type: more.name });
  }
}

class Client {
  #waiting = new Map();
  #number = 0;

  static async open() {
    const client = new Client();
    client.socket = connect(/^\d+$/.test(address) ? { port: +address, host: "127.0.0.1" }
      : { path: address });
    await once(client.socket, "connect");
    client.ended = client.#read();
    return client;
  }

  async #read() {
    for await (const message of decodeMultiStream(this.socket, { useBigInt64: true })) {
      const [kind, number, error, result] = message;
      assert.equal(message.length, 4);
      assert.equal(kind, 1);
      const waiting = this.#waiting.get(number);
      assert.ok(waiting, `an answer to ${number}, which nobody asked`);
      this.#waiting.delete(number);
      if (error === null) waiting.resolve(result);
      else waiting.reject(new Failure(error));
    }
    assert.equal(this.#waiting.size, 0, "closed before all was answered");
  }

  // The bytes of a request, and the promise of its answer.
  prepare(method, params, number = ++this.#number) {
    const answer = new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
    });
    return { bytes: encode([0, number, method, params], { useBigInt64: true }), answer };
  }

  call(method, ...params) {
    const { bytes, answer } = this.prepare(method, params);
    this.socket.write(bytes);
    return answer;
  }

  notify(method, params) {
    this.socket.write(encode([2, method, params]));
  }

  async close() {
    this.socket.end();
    await this.ended;
  }
}

const docs = { collection_name: "docs", database_name: "node" };

// A fresh collection of four dimensions, and who asks.
async function begin() {
  const client = await Client.open();
  assert.deepEqual(await client.call("authenticate", key), { authenticated: true });
  await client.call("create_database", { database_name: "node", drop_if_exists: true });
  await client.call("required_collection", { ...docs, dim: 4 });
  return client;
}

const cases = {
  async vectors_as_arrays(client) {
    const added = await client.call("add", { ...docs, ids: [1, "b", 3],
      vectors: [[1, 0, 0, 0.5], [0, 1, 0, 0.5], [0, 0, 1, 0.5]],
      fields: [{ lang: "c", stars: 7 }, null, { "sprache": "größer" }] });
    assert.deepEqual([added.ids, added.row_count], [[1, "b", 3], 3]);
    const { items } = await client.call("search", { ...docs, vector: [0, 3, 0, 0], k: 2,
      return_fields: true });
    assert.deepEqual([items.ids[0], items.scores[0], items.fields[0]], ["b", 3, {}]);
    const got = await client.call("get", { ...docs, ids: [3, 1], return_vectors: true });
    assert.deepEqual(got.items.ids, [3, 1]);
    assert.deepEqual(got.items.fields, [{ "sprache": "größer" }, { lang: "c", stars: 7 }]);
    assert.deepEqual(got.items.vectors, [[0, 0, 1, 0.5], [1, 0, 0, 0.5]]);
  },

  async vectors_and_ids_as_bins(client) {
    const vectors = Float32Array.from({ length: 400 }, (_, i) => i / 8);
    const ids = BigUint64Array.from({ length: 100 }, (_, i) => 2n ** 62n + BigInt(i));
    await client.call("add", { ...docs, ids, vectors });
    const query = vectors.slice(396);
    const found = (await client.call("search", { ...docs, vector: query, k: 1 })).items;
    assert.deepEqual(found.ids, [2n ** 62n + 99n]);
    const got = (await client.call("get", { ...docs, ids: ids.slice(7, 8), raw: true,
      return_vectors: true })).items;
    const aligned = (bin) => Uint8Array.from(bin).buffer;
    assert.deepEqual(new Float32Array(aligned(got.vectors)), vectors.slice(28, 32));
    assert.deepEqual(new BigUint64Array(aligned(got.ids)), ids.slice(7, 8));
  },

  async instants_are_timestamps(client) {
    const made = new Date("2024-02-29T12:34:56.789Z");
    await client.call("add", { ...docs, ids: [1], vectors: [[1, 0, 0, 0]], fields: [{ made }] });
    const got = await client.call("get", docs.collection_name, [1], { database_name: "node" });
    assert.deepEqual(got.items.fields, [{ made }]);
  },

  async errors_name_what_is_wrong(client) {
    await assert.rejects(client.call("count", { ...docs, colection_name: "docs" }),
      { type: "INVALID", message: /did you mean 'collection_name'\?/ });
    await assert.rejects(client.call("serch", docs),
      { type: "NOT_FOUND", message: /did you mean 'search'\?/ });
    await assert.rejects(client.call("add", { ...docs, vectors: [[1, 2, 3]] }),
      { type: "DIMENSION" });
    assert.equal((await client.call("count", docs)).count, 0, "the connection goes on");
  },

  async without_a_key_little_is_answered() {
    const stranger = await Client.open();
    assert.deepEqual(await stranger.call("health"), { status: "ok" });
    await assert.rejects(stranger.call("count", docs), { type: "UNAUTHORIZED" });
    await assert.rejects(stranger.call("authenticate", `${key}!`), { type: "UNAUTHORIZED" });
    await stranger.close();
  },

  // 100 requests in one stream that is cut anywhere, their numbers in no order: to each its answer.
  async pipelined_out_of_order(client) {
    const count = 100;
    await client.call("add", { ...docs, ids: Array.from({ length: count }, (_, i) => i),
      vectors: Array.from({ length: count }, (_, i) => [i, 1, 0, 0]) });
    const numbers = Array.from({ length: count }, (_, i) => 4294967295 - ((i * 37) % count));
    const order = [];
    const asked = numbers.map((number, i) => {
      const params = i % 3 ? { ...docs, ids: [i], return_vectors: true }
        : { ...docs, vector: [1, i, 0, 0], k: count };
      const request = client.prepare(i % 3 ? "get" : "search", params, number);
      return { ...request, answer: request.answer.then(({ items }) => {
        order.push(i);
        if (i % 3) assert.deepEqual([items.ids, items.vectors], [[i], [[i, 1, 0, 0]]]);
        else assert.deepEqual([items.ids.length, items.scores[0]], [count, count - 1 + i]);
      }) };
    });
    const stream = Buffer.concat(asked.map(({ bytes }) => bytes));
    for (let at = 0, size = 1; at < stream.length; at += size, size = (size * 7) % 1009) {
      client.socket.write(stream.subarray(at, at + size));
    }
    await Promise.all(asked.map(({ answer }) => answer));
    assert.equal(new Set(order).size, count);
  },

  async notifications_are_not_answered(client) {
    client.notify("create_database", [{ database_name: "noted" }]);
    const limit = Date.now() + 10000;
    while (!(await client.call("database_exists", { database_name: "noted" })).exists) {
      assert.ok(Date.now() < limit, "it was not done");
    }
    await client.call("drop_database", { database_name: "noted" });
  },
};

const client = await begin();
await cases[chosen](client);
await client.close();
