-- SPDX-License-Identifier: Apache-2.0
-- What memory_sweep runs with the address of a server: a little of everything, as memory_scenario
-- does with a folder.
local address = ...
local lynse = open_module() -- luacheck: ignore 113
local db = assert(lynse.connect(address, { timeout = 60, database = "memory" }))
local docs = assert(db:require { name = "docs", dim = 2, metric = "l2" })
assert(docs:upsert {
   ids = { "a", 2, 9007199254740993ULL }, vectors = { { 1, 2 }, { 3, 4 }, { 5, 6 } },
   fields = { { n = 1, deep = { { { "x" } } }, none = lynse.null, at = lynse.datetime(0) }, nil,
      { n = 3, raw = lynse.bytes "\0", wide = lynse.integer "18446744073709551615" } },
})
local hits = assert(docs:search {
   queries = { { 1, 2 }, { 5, 6 } }, k = 2, fields = true, vectors = true, numbers = true,
   where = "n > 0",
   rerank = function(found) table.sort(found, function(a, b) return a.field.n > b.field.n end) end,
})
assert(#hits == 2 and hits[1].count == 2)
assert(docs:search { vector = { 1, 2 }, range = 1, rerank = "mmr" })
assert(docs:set_hook("rerank", "boost", { options = { field = "n" }, on_failure = "skip" }) >= 1)
assert(docs:hooks().rerank.options.field == "n")
assert(docs:drop_hook "rerank")
assert(docs:get({ "a", 2 }, { vectors = true }).count == 2)
for id in docs:each { where = "n >= 0" } do assert(id ~= 2) end
assert(docs:delete({ where = "n = 3" }).count == 1)
assert(docs:upsert({ ids = 2ULL, vectors = { { 3, 4 } }, wait = false }):wait().count == 1)
assert(assert(docs:begin_search { vector = { 1, 2 } }):step(1))
assert(#db:list() == 1 and docs:info().live_count == 2)
assert(not docs:count "n >")
assert(db:close())
