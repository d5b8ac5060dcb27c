-- SPDX-License-Identifier: Apache-2.0
-- config.lua: every option of the server, with its default (docs/OPTIONS.md).
--
-- Made by tools/write_server_docs.py.  Copy it, take the dashes away where you want
-- something else, and start with `lynse serve --config config.lua`.  The file is data:
-- it has no functions to call.
return {
   -- The address to listen at. Empty: no port, the socket alone.
   -- host = "127.0.0.1",

   -- The port of both protocols. 0: any that is free; the log says which.
   -- port = 7637,

   -- The path of a Unix socket to listen at as well.
   -- socket = "",

   -- The folder of the data.
   -- data_dir = ".",

   -- The key that callers have to know. On a command line other users of the machine see it.
   -- api_key = "…",

   -- The file whose first line is the key.
   -- api_key_file = "",

   -- Listen beyond this machine without TLS.
   -- insecure = false,

   -- Hooks that come over the wire run compiled, and without budgets.
   -- trust_scripts = false,

   -- While nobody searches, make some searches again to see how much indexes find.
   -- measure_recall = true,

   -- The folder of your own scripts.
   -- scripts = "",

   -- Threads that read requests and write answers. 0: one for each processor, at least two.
   -- workers = 0,

   -- Microseconds that a worker looks for more before it sleeps, where that has paid lately.
   -- spin_us = 50,

   -- Threads for calls that wait for the disk.
   -- pool_threads = 16,

   -- Connections at once; further ones are told that it is BUSY.
   -- connections_max = 10000,

   -- Connections at once of one address (IPv6: one /64); further ones are BUSY. 0: no limit.
   -- connections_per_address = 1000,

   -- Requests of one connection that are under way.
   -- in_flight_max = 128,

   -- Calls of the engine that are under way for a worker; further ones are BUSY.
   -- calls_max = 1024,

   -- Requests that are under way for a worker; further ones are BUSY.
   -- requests_max = 16384,

   -- Requests and answers under way; more is BUSY. 0: half the memory, at most 1 GiB.
   -- held_limit_mb = 0,

   -- Memory of the engine, without mapped files; more is NO_MEMORY. 0: half of it all.
   -- memory_limit_mb = 0,

   -- What is owed to a connection before no more is read from it.
   -- out_limit_mb = 8,

   -- The largest request.
   -- payload_limit_mb = 256,

   -- The largest body of JSON.
   -- json_limit_mb = 256,

   -- The time of a request that names none.
   -- request_timeout_secs = 30,

   -- How long the head of a request may take to come.
   -- header_timeout_secs = 10,

   -- How long a connection may be idle.
   -- keep_alive_secs = 75,

   -- How long a caller may take no byte of its answer.
   -- write_timeout_secs = 30,

   -- After SIGTERM: how long what is under way may take. A container has ten seconds.
   -- drain_secs = 8,

   -- A request that took longer is in the log. 0: none.
   -- slow_query_warn_ms = 1000,

   -- The largest k, n and max_results of a request. 0: the engine's limit.
   -- max_top_k = 100000,

   -- The most vectors, queries or ids of a request. 0: the engine's limit.
   -- max_batch_vectors = 100000,

   -- The most records of a collection. 0: no limit.
   -- max_collection_vectors = 0,

   -- The most bytes of vectors of a collection, 4 a component. 0: no limit.
   -- max_collection_vector_bytes = 0,

   -- What the log has: debug, info, warn or error, and what is worse.
   -- log_level = "info",

   -- Each request is in the log.
   -- log_requests = false,

   -- Each request that changes something is in the log, and each that is refused its entry.
   -- audit_log = true,

   -- The file for those lines. Without: where the log is.
   -- audit_log_file = "",
}
