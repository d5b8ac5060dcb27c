-- SPDX-License-Identifier: Apache-2.0
-- args.lua: how a method declares its arguments.
--
-- Each function here makes one: { name, kind, doc =, required =, default =, low =, high =,
-- choices = }.  Their order is that of arguments by position.  What kinds there are and what they
-- take is in server/arguments.h, which checks them.
local args = {
   whole_max = 2 ^ 53 - 1, -- beyond it two whole numbers are one double
   count_max = 24,         -- of a method: ARGUMENT_COUNT_MAX
}

local function argument(kind, name, doc, options)
   local made = { name, kind, doc = doc }
   for key, value in pairs(options or {}) do made[key] = value end
   return made
end

args.kinds = {
   "name", "text", "flag", "integer", "number", "id", "ids", "vector", "vectors", "documents",
   "texts", "value", "document", "body", "request_id",
}
for _, kind in ipairs(args.kinds) do
   args[kind] = function(name, doc, options) return argument(kind, name, doc, options) end
end

args.database = args.name("database_name", "The database.", { default = "default" })
args.collection_name = args.name("collection_name", "The collection.", { required = true })

-- … on a collection: its name first, the database's at the end.
function args.of_collection(list)
   table.insert(list, 1, args.collection_name)
   list[#list + 1] = args.database
   return list
end

-- … that may take long, and changes nothing.
function args.of_read(list)
   local made = args.of_collection(list)
   made[#made + 1] = args.request_id("request_id", "Of your choice: what `cancel` takes.")
   return made
end

-- … that changes records of one.
function args.of_write(list)
   local made = args.of_collection(list)
   made[#made + 1] = args.request_id("request_id",
      "Of your choice: sent again with it, the same write is applied once.")
   return made
end

-- … that has rows.
function args.of_rows(list)
   local made = args.of_write(list)
   made[#made + 1] = args.flag("return_ids", "Whether the answer repeats the ids that were given.",
      { default = true })
   return made
end

args.required_database = args.name("database_name", "The database.", { required = true })

-- The last one of every method: scripts/server.lua adds it.
args.timeout = args.integer("timeout_ms",
   "Milliseconds from its beginning; what is not done then fails.", { low = 1, high = 600000 })

args.where = args.text("where", "Only records for which this is true (docs/WHERE.md).",
   { high = 65536 })
args.return_fields = args.flag("return_fields", "Whether the hits have their fields.",
   { default = false })
args.raw_fields = args.flag("return_fields", "With their fields, in an answer to raw.",
   { default = false })
args.raw_fields.msgpack_only = true
args.return_vectors = args.flag("return_vectors", "With their vectors, in an answer to raw.",
   { default = false })
args.return_vectors.msgpack_only = true
args.k = args.integer("k", "How many hits are wanted.", { default = 10, low = 1, high = 100000 })
args.n = args.integer("n", "How many records are wanted.",
   { default = 5, low = 0, high = 100000 })
args.limit = args.integer("limit", "How many records at most; without it all, up to 100000.",
   { low = 1, high = 100000 })
args.offset = args.integer("offset", "How many records are passed over first.",
   { default = 0, low = 0, high = args.whole_max })
args.raw = args.flag("raw", "Ids, scores and vectors of the answer as bins, little-endian.",
   { default = false })
args.raw.msgpack_only = true
args.encoding = args.text("vector_encoding", "Of the vectors in the body.",
   { default = "float32", choices = { "float32", "f32", "float16", "f16", "fp16" } })
args.dim = args.integer("dim", "Components of a vector.",
   { required = true, low = 1, high = 32768 })

-- How hard an index looks.
args.nprobe = args.integer("nprobe",
   "Of ivf and spann: how many clusters are read.  0, or none: as the index was built to.",
   { low = 0, high = 1048576 })
args.ef = args.integer("ef", "The same of hnsw: how many candidates are kept.",
   { low = 0, high = 1048576 })
args.beam = args.integer("beam", "The same of diskann.", { low = 0, high = 1048576 })
args.oversample = args.number("oversample",
   "Of k, how many are measured exactly where a quantizer ranks.", { low = 1, high = 1000 })
args.exact = args.flag("exact", "Look at every record, whatever the index.", { default = false })

-- What LynseDB's searches take besides.
args.vector_field = args.text("vector_field", "There is no other than default yet.",
   { default = "default", high = 128 })
args.approx = args.flag("approx", "Scans may leave out what eps allows, graphs stop sooner.",
   { default = false })
args.eps = args.number("eps",
   "With approx: by how much a record that is left out may be nearer than the last hit.",
   { default = 1e-4, low = 0, high = 3e38 })

-- What takes part in the ranking.
args.score = args.text("score", "Source text in Lua of a function that ranks (docs/LUA.md).",
   { low = 1, high = 65536 })
args.rerank = args.text("rerank", "Source text in Lua, or the name of a shipped script.",
   { low = 1, high = 65536 })
args.score_options = args.document("score_options", "What score gets as its last argument.")
args.rerank_options = args.document("rerank_options", "What rerank gets as its last argument.")
args.score_mode = args.text("score_mode",
   "Which records score is given: all, collect the nearest, or beam, until more change nothing.",
   { default = "all", choices = { "all", "collect", "beam" } })
args.no_hooks = args.flag("no_hooks", "As if the collection kept no hooks.", { default = false })

args.point = args.text("point", "Where in a search it is called.",
   { required = true, choices = { "score", "rerank" } })

-- Records in a binary body; doc says what a row without fields means.
function args.of_records_binary(doc)
   return args.of_write {
      args.dim,
      args.integer("n_vectors", "How many records.", { required = true, low = 1, high = 100000 }),
      args.body("data", "Vectors, ids and fields (docs/PROTOCOL.md); " .. doc .. ".",
         { required = true }),
      args.encoding,
      args.text("ids_encoding", "raw: in the body; range: ids_start and those that follow it.",
         { default = "raw", choices = { "raw", "range" } }),
      args.integer("ids_start", "The first id of a range.",
         { default = 0, low = 0, high = args.whole_max }),
   }
end

return args
