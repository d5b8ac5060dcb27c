-- SPDX-License-Identifier: Apache-2.0
-- ten_lines.lua: open a folder, add three vectors, ask for the nearest two, by a score of our own.
--
--   lynse lua ten_lines.lua          or, with lynse.so on package.cpath, luajit ten_lines.lua
local lynse = require "lynse"
local db = assert(lynse.open "./data")
local docs = assert(db:require { name = "notes/docs", dim = 3 })
assert(docs:upsert {
   ids = { "a", "b", "c" },
   vectors = { { 1, 0, 0 }, { 0, 1, 0 }, { 0.6, 0.8, 0 } },
   fields = { { age_days = 900 }, { age_days = 30 }, { age_days = 10 } },
})
local function newer_first(n, distance, field, out) -- in the search loop; smaller is nearer
   for i = 0, n - 1 do out[i] = distance[i] + 0.3 * field.age_days[i] / 365 end
end
local hits = assert(docs:search { vector = { 1, 0, 0 }, k = 2, score = newer_first })
for i, id in ipairs(hits.ids) do print(("id %s: %.2f"):format(id, hits.scores[i])) end
db:close()
