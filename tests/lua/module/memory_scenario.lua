-- SPDX-License-Identifier: Apache-2.0
-- What memory_sweep runs with a folder: a little of everything.  It ends well when an answer that
-- lacks memory is the only thing that goes wrong.
local folder = ...
local lynse = open_module() -- luacheck: ignore 113
local db = lynse.open(folder, { mode = "inline" })
if not db then error "the folder of an earlier run is still open" end
local docs = assert(db:require { name = "docs", dim = 2, metric = "l2" })
assert(docs:upsert {
   ids = { "a", 2, 9007199254740993ULL }, vectors = { { 1, 2 }, { 3, 4 }, { 5, 6 } },
   fields = { { n = 1, deep = { { { "x" } } }, none = lynse.null, at = lynse.datetime(0) }, nil,
      { n = 3, raw = lynse.bytes "\0", wide = lynse.integer "18446744073709551615" } },
})
local hits = assert(docs:search {
   queries = { { 1, 2 }, { 5, 6 } }, k = 2, fields = true, vectors = true, where = "n > 0",
   score = function(n, distance, field, out)
      for i = 0, n - 1 do out[i] = distance[i] + field.n[i] end
   end,
   rerank = function(found) table.sort(found, function(a, b) return a.field.n > b.field.n end) end,
})
assert(#hits == 2 and hits[1].count == 2)
local _, err = docs:search { vector = { 1, 2 }, score = function() error "no" end }
assert(err.code == "HOOK")
assert(docs:set_hook("rerank", "boost", { options = { field = "n" }, on_failure = "skip" }) >= 1)
assert(docs:hooks().rerank.options.field == "n")
assert(docs:search { vector = { 1, 2 } })
assert(docs:drop_hook "rerank")
assert(docs:get({ "a", 2 }, { vectors = true }).count == 2)
for id in docs:each { where = "n >= 0" } do assert(id ~= 2) end
assert(docs:query("n = 3").count == 1)
assert(docs:delete({ where = "n = 3" }).count == 1)
assert(docs:upsert({ ids = 2ULL, vectors = { { 3, 4 } }, wait = false }):wait().count == 1)
local numbers = require("ffi").new("uint64_t[1]", 2)
assert(docs:get(numbers, { numbers = true }).numbers[0] == 2ULL)
assert(docs:delete({ 77 }, { wait = false }))
local step = assert(docs:begin_search { vector = { 1, 2 }, score = function(n, _, field, out)
   for i = 0, n - 1 do out[i] = field.n[i] end
end })
local stepped, failed
while not stepped and not failed do stepped, failed = step:step(1) end
assert(stepped, failed)
assert(docs:set_hook("score", "function() error 'no' end", { on_failure = "skip" }))
step = assert(docs:begin_search { queries = { { 1, 2 } }, rerank = "boost",
   rerank_options = { field = "n" } })
stepped = nil
while not stepped and not failed do stepped, failed = step:step(1) end
assert(stepped, failed)
assert(stepped[1].skipped[1] == "score")
assert(docs:drop_hook "score")
assert(docs:begin_search { vector = { 1, 2 } })
assert(#db:list() == 1 and docs:info().live_count == 2)
assert(not docs:count "n >")
assert(db:close())
