-- SPDX-License-Identifier: Apache-2.0
-- tree.lua: every file of the product and what it is for, by folder.  `tidy.lua --list-missing`
-- proposes the lines that a new file needs; "x.[ch]" stands for x.c and x.h.
return {
   ["core"] = {
      ["CMakeLists.txt"] = "the layers and what each may include; the library made of them",
   },
   ["core/actor"] = {
      ["actor.[ch]"] =
         "an object that handles messages one batch at a time, on one thread at a time",
      ["inline_scheduler.c"] =
         "no threads: work runs inside inline_poll and inside calls that wait",
      ["mailbox.[ch]"] = "a lock-free queue of messages with bounds in count and bytes",
      ["message.[ch]"] = "the header of everything that is sent to an actor",
      ["message_pool.[ch]"] =
         "memory for messages, which one thread allocates and another one frees",
      ["parker.[ch]"] = "one thread waits until another wakes it: first by spinning, then asleep",
      ["placement.[ch]"] = "on which worker a new actor runs, for good",
      ["reply.[ch]"] = "the answer to a message or a search, given exactly once",
      ["scheduler.[ch]"] =
         "who runs actors, tasks and timers: threads, the caller, or a seeded simulator",
      ["sim_scheduler.c"] = "seeded interleavings on one thread, under a logical clock",
      ["spinner.[ch]"] =
         "how long it pays to look again and again before sleeping, learned from experience",
      ["task.h"] = "work that runs in steps beside the actors: searches and background jobs",
      ["task_pool.[ch]"] = "threads that run tasks of one class, first come first served",
      ["thread_scheduler.c"] = "actors on worker threads, tasks on pools, one thread for time",
      ["timer.[ch]"] = "deadlines and periodic ticks of actors",
      ["watchdog.[ch]"] = "says in the log which actor is stuck and which mailbox grows",
      ["worker.[ch]"] = "a thread that runs the actors placed on it, in turns",
   },
   ["core/api"] = {
      ["handles.[ch]"] = "what the opaque types of lynse.h are, and the small change of every call",
      ["calls.c"] = "who is inside a handle, so that it can be closed under calls of others",
      ["open.c"] = "the library and its roots",
      ["admin.c"] = "orders to a collection, and what it says of itself",
      ["collections.c"] = "databases and collections: made, opened, listed, dropped",
      ["installed_hooks.c"] =
         "hooks that a collection keeps: set, dropped, listed, taken by searches",
      ["hooks.c"] = "hooks of a search: source text for the root's host, or the caller's functions",
      ["read.c"] = "reads that score nothing: by id, counts, walks",
      ["search.c"] = "searches: take a view on the calling thread, run here or on the pool too",
      ["write.c"] = "add, upsert, delete, restore: copy the request, check it, send it",
   },
   ["core/base"] = {
      ["alloc.[ch]"] =
         "the allocator that each database is given, with accounting by tag and a budget",
      ["arena.[ch]"] = "bump allocation for one request: reset, not free",
      ["atomic.h"] = "thin names over C11 atomics",
      ["bitmap.[ch]"] = "dense bitmap of a fixed number of bits, in 64-bit words",
      ["buf.[ch]"] = "a growable byte buffer that remembers its first failure",
      ["bytes.h"] =
         "little-endian fields, and the one bounds-checked reader for bytes from outside",
      ["check.[ch]"] =
         "asserts on our own invariants, never on what a file, a peer or a caller sends",
      ["clock.[ch]"] =
         "monotonic and wall time behind a pointer, so that tests and the simulator own time",
      ["error.[ch]"] = "how a function says what went wrong",
      ["fault_points.h"] = "every named fault point and reach mark, sorted",
      ["faults.[ch]"] = "switches that make the engine break its own rules, for tests of the tests",
      ["finite.h"] = "the first float that is an infinity or a NaN, at the speed of memory",
      ["hash.[ch]"] = "CRC32C of our own, and XXH3",
      ["hash_map.h"] = "two open-addressing maps: u64 → u64, and bytes → u64",
      ["int_map.c"] = "u64 → u64: linear probing with deletion by backward shift",
      ["limits.h"] = "every limit, with its reason",
      ["log.[ch]"] = "levels and one injected sink; silent without one",
      ["mpsc.[ch]"] = "intrusive lock-free queue: many producers, one consumer, with an idle bit",
      ["planted.[ch]"] =
         "off-by-ones in bounds checks, put there to see that the fuzz targets find them",
      ["poison.h"] = "marks for AddressSanitizer: memory that is ours but must not be touched now",
      ["rng.[ch]"] = "seeded generator of random numbers; no hidden seed",
      ["slice.h"] = "a pointer and a length, borrowed: bytes, or UTF-8 text without a NUL",
      ["text_map.c"] = "bytes → u64: linear probing with deletion by backward shift",
      ["thread.[ch]"] =
         "threads, mutexes and conditions over pthread; waits use the monotonic clock",
      ["topk.[ch]"] = "the k best candidates, ties by id",
      ["utf8.[ch]"] =
         "which bytes are UTF-8 (RFC 3629: no overlong forms, no surrogates, up to U+10FFFF)",
   },
   ["core/codec"] = {
      ["block.[ch]"] = "a framed, checksummed block of bytes, compressed by zstd where that pays",
      ["datetime.[ch]"] = "RFC 3339 text ⇄ microseconds since 1970-01-01T00:00:00Z",
      ["decimal.[ch]"] =
         "numbers in decimal text ⇄ binary, correct to the last bit, whatever the locale",
      ["decimal_powers.h"] = "the first 128 bits of 5^q for q in −64..64; for decimal.c alone",
      ["id.[ch]"] = "record ids: an integer 0..UINT64_MAX−1, or text of 1..255 bytes of UTF-8",
      ["json.h"] = "JSON (RFC 8259) ⇄ msgpack, token by token: no tree, no recursion",
      ["json_read.c"] = "JSON text to msgpack, in one pass",
      ["json_write.c"] = "msgpack to JSON text, token by token",
      ["msgpack.[ch]"] = "bounded, non-recursive reader and writer of msgpack",
      ["msgpack_write.c"] = "the shortest encoding of each value, appended to a buf",
      ["quote.[ch]"] = "text from outside, made fit for an error message",
      ["record.[ch]"] = "payloads of log records ⇄ rows",
      ["record_kinds.h"] = "kinds of log records",
      ["rpc.[ch]"] =
         "msgpack-RPC: frames out of a stream, messages out of frames, answers into bufs",
      ["request_stamp.[ch]"] = "what a group says of the request that it answers",
      ["tagged.[ch]"] = "runs of tagged fields: catalog, manifest, record payloads",
      ["value.[ch]"] = "one field value, as a view of its msgpack bytes",
      ["vector_types.h"] = "what a vector field may hold, by the numbers of files",
   },
   ["core/collection"] = {
      ["collection.h"] = "one collection as a single-threaded state machine",
      ["collection_apply.c"] = "the parts of a collection, the view of them, and replay",
      ["collection_check.c"] = "every invariant over every file and the state; never writes",
      ["collection_fields.c"] = "may a manifest say that of its vector fields?",
      ["collection_open.c"] = "create, recover, close",
      ["collection_options.c"] =
         "what a collection is told rather than fed; each change is one manifest",
      ["collection_request.c"] = "a retried write is applied once",
      ["collection_seal.c"] = "tail → frozen → sealed: the state's side of moving rows into files",
      ["collection_stage.c"] =
         "one group against the state: resolve, reserve, write behind what is visible",
      ["collection_write.c"] = "groups become durable, then visible, then answered",
      ["request_window.[ch]"] = "the last requests of a collection by their ids",
   },
   ["core/engine"] = {
      ["catalog.[ch]"] = "databases and collections by name, and the file that says so",
      ["catalog_actor.c"] =
         "databases and collections are made and dropped by one actor, one at a time",
      ["catalog_call.c"] = "asking the catalog's actor, from any thread",
      ["collection_actor.c"] =
         "a collection's actor: one handler per message, consecutive writes in one batch",
      ["collection_status.c"] = "what an actor knows of its collection, in one reading",
      ["collection_room.c"] = "what a disk that fills changes for one collection",
      ["directories.c"] = "directories of collections that no catalog names any more",
      ["engine.[ch]"] =
         "the handle of an open root: its lock, its catalog, its collections and their actors",
      ["host.c"] =
         "collections that are open in this process: found or started, counted, read, ended",
      ["messages.h"] = "everything that is sent to the actors of an engine",
      ["seal_task.c"] =
         "a frozen tail becomes a segment on a job thread, while its actor goes on",
      ["search_pool.c"] =
         "one search on several threads: slice 0 on the caller's, the others on the pool",
      ["space.[ch]"] =
         "room on a root's disk: the mark that stops writes, the reserve for deleting and closing",
   },
   ["core/include"] = {
      ["lynse_lua.h"] = "hooks from source text, in Lua",
      ["lynse.h"] = "the one public header of Lynse, an embedded-first vector database",
      ["lynse_errors.h"] = "the one table of errors, for every language",
      ["lynse_kinds.h"] =
         "the lists that callers, files and every layer share: metrics, sync levels",
   },
   ["core/field"] = {
      ["column.[ch]"] =
         "one field of many rows, taken out of their documents: a type and eight bytes a row",
   },
   ["core/filter"] = {
      ["ast.[ch]"] = "what a `where` text says, as a tree in an array",
      ["block.[ch]"] = "tests of two values over a block of rows, a bit a row",
      ["caret.[ch]"] = "errors that show their place in the text of a filter",
      ["filter.h"] = "a `where` text as a filter over columns",
      ["match.c"] = "which rows of a block an expression is true for",
      ["operand.c"] = "fields and literals of a `where` text",
      ["order.[ch]"] = "which of two values comes first: SQLite's order without affinity",
      ["parse.c"] = "`where` text to tree, by recursive descent",
      ["parser.h"] = "the state of filter_parse, and what its two files call of each other",
      ["like.[ch]"] = "the pattern of a LIKE",
      ["print.c"] = "tree to text that parses to the same tree",
      ["token.[ch]"] = "a `where` text, cut into words, names, literals and signs",
      ["value_list.[ch]"] = "the values of an IN, sorted, so that each row asks a few of them only",
   },
   ["core/index"] = {
      ["flat.c"] = "every row, by its exact distance",
      ["index.h"] =
         "what an index kind is: a way to find the rows of one segment that are near a query",
      ["index_kinds.h"] = "the list of index kinds",
      ["index_mode.[ch]"] =
         "index modes, \"FLAT-L2\": an index kind and a metric in one word, as users write it",
      ["index_registry.c"] = "index kinds by number and by name",
   },
   ["core/os"] = {
      ["descriptor.[ch]"] = "open a file descriptor by the rule for all of ours (R13)",
      ["fork_registry.[ch]"] =
         "a forked child must not use, nor keep locked, a database of its parent (L2)",
      ["machine.[ch]"] = "what this process may use: cores and memory, cgroup limits included",
      ["mapping.[ch]"] = "read-only maps of immutable files, and the table of what is mapped (R12)",
      ["memory_locks.[ch]"] = "byte-range locks of one file in memory, with the rules of OFD locks",
      ["memory_tree.[ch]"] = "directories, files and their bytes for vfs_memory.c",
      ["name_list.[ch]"] = "names in a directory, gathered first and acted on afterwards",
      ["path.[ch]"] = "names of databases, collections and files",
      ["vfs.h"] = "every touch of a disk goes through this table, so that tests own the disk",
      ["vfs_memory.c"] =
         "a file system in memory: ':memory:', and the ground of the crash laboratory",
      ["vfs_posix.c"] = "the real file system",
      ["vfs_record.[ch]"] = "a VFS that passes everything on to another one and calls an observer",
   },
   ["core/quant"] = {
      ["oracle.h"] = "distances between one query and the rows of one segment, by row number",
      ["quantizer.h"] =
         "what a quantizer is: a way to hold vectors, and the oracle that reads them",
      ["quantizer_kinds.h"] = "the list of quantizers",
      ["quantizer_registry.c"] = "quantizers by number and by name",
      ["raw.c"] = "no quantization: f32 vectors as they were given, norms beside them",
      ["vector_source.h"] = "where an oracle finds the full vectors: runs of rows in memory",
   },
   ["core/query"] = {
      ["fetch.[ch]"] = "reads that score nothing: records by id, and walks over all of them",
      ["hook.h"] = "how core calls a function of somebody else's in the middle of a query",
      ["hook_points.h"] = "the places where somebody else's code takes part in a query",
      ["merge_topk.[ch]"] = "the order of equal distances, and several lists made one",
      ["rerank.[ch]"] = "the hits of one query, put in a new order by a `rerank` hook",
      ["request.[ch]"] =
         "is a search request one that can be answered?  And its queries, ready for oracles",
      ["result.[ch]"] = "what a read gives back: columns of ids, scores, documents and vectors",
      ["row_filter.[ch]"] =
         "the rows of a view that are live and for which a `where` is true, block by block",
      ["scored_scan.[ch]"] =
         "every wanted row of a view's range, ranked by a `score` hook instead of by its distance",
      ["search.[ch]"] = "a search over one view, as an object: begin, advance, finish",
      ["search_exact.[ch]"] =
         "some queries against a range of a view's rows, all of them, as a state machine",
   },
   ["core/segment"] = {
      ["active_segment.[ch]"] = "the tail: rows in memory, appended by one thread, read by all",
      ["cached_column.h"] =
         "what the cache and the readers of columns share: a field in blocks",
      ["column_cache.[ch]"] = "columns of the fields that filters and hooks name, within a bound",
      ["column_reader.c"] =
         "fields of a segment's rows, as cells or as numbers, filled once for all",
      ["row_chunks.[ch]"] = "the memory of a tail's rows: columns in chunks that never move",
      ["sealed_segment.[ch]"] = "an immutable segment: its mapped ids, vectors and documents",
      ["segment.[ch]"] =
         "what a segment is: rows in LSN order, each with id, LSN, vector and document",
      ["segment_builder.[ch]"] =
         "frozen rows → the files of one sealed segment (R5), on a job thread",
      ["view.[ch]"] =
         "the one thing that readers see: an immutable list of segments and their deletions",
   },
   ["core/simd"] = {
      ["cpu.[ch]"] = "which instruction sets may be used here, as levels that contain each other",
      ["dense_avx2.c"] = "f32 dot and squared distance with AVX2 and FMA",
      ["dense_avx512.c"] = "f32 dot and squared distance with AVX-512",
      ["dense_serial.c"] =
         "f32 dot and squared distance in plain C: the reference, and the last resort",
      ["kernels.h"] =
         "data sheet and signatures of the kernels; the table through which they are called",
      ["metrics.[ch]"] =
         "what the list of metrics says: names, kernels, which end of the scale is nearer",
      ["select.c"] = "fills the kernel table level by level, once",
   },
   ["core/store"] = {
      ["applied_request.[ch]"] = "requests that were applied, as a manifest keeps them",
      ["commit_log.h"] = "the log that a collection commits to, local or replicated",
      ["dir_lock.[ch]"] =
         "one LOCK per root: an exclusive writer, shared readers that pin epochs (L1-L4)",
      ["doc_cache.[ch]"] =
         "what doc_file.c needs of the cache of decoded blocks (doc_file.h has the rest)",
      ["doc_file.[ch]"] =
         "documents of a sealed segment in compressed blocks, and the cache of decoded ones",
      ["doc_layout.h"] = "numbers of the documents part; for doc_writer.c and doc_file.c",
      ["doc_writer.c"] = "the documents part of a new segment",
      ["file_gc.[ch]"] =
         "remove files that no manifest names, no view uses, no reader pins (R7, R14, L4)",
      ["file_header.[ch]"] = "the 80 bytes that every file starts with",
      ["format.h"] = "numbers of the file formats; docs/FORMAT.md has the tables",
      ["ids_bloom.h"] = "the blocked Bloom filter of an ids part",
      ["ids_file.[ch]"] = "ids of a sealed segment: row to id and LSN, id to row",
      ["ids_writer.c"] = "the ids part of a new segment",
      ["installed_hook.[ch]"] =
         "a hook that a collection keeps: its manifest's part, and what runs it here",
      ["manifest.[ch]"] = "the one file that says which files are the collection",
      ["migrate.[ch]"] =
         "which format majors this version reads, and the steps that lead to its own",
      ["part_file.[ch]"] = "the container of all segment parts: sections, block checksums, footer",
      ["part_layout.h"] = "offsets inside a segment part; for part_writer.c and part_file.c",
      ["part_writer.c"] = "writes a segment part once, front to back",
      ["recovery.[ch]"] = "from a directory to the state that was promised (R1-R14)",
      ["tombstones.[ch]"] =
         "which rows of a segment are deleted: versions that share untouched chunks",
      ["twin_file.[ch]"] = "small files that are replaced as a whole: catalog and manifest",
      ["wal.[ch]"] = "the local commit log: the write-ahead log files of one collection",
      ["wal_current.[ch]"] =
         "the state of a log and its current file; for wal.c and wal_upkeep.c alone",
      ["wal_files.[ch]"] = "make log files and recycle retired ones (R4, R8), for wal.c alone",
      ["wal_replay.[ch]"] =
         "read a log file, prove where it ends, hand out its groups (R2, R3, R3a)",
      ["wal_upkeep.c"] =
         "what is done to a log between batches: marks, files ahead of need, retirement",
   },
   ["lua"] = {
      ["attach.c"] = "liblynse-lua for a root: who prepares its hooks from source text",
      ["budget.[ch]"] = "what one call of a script may use: steps, time, memory, depth of C",
      ["builtin.h"] =
         "the scripts that the library brings along: those of scripts/, put in by the build",
      ["chunk_cache.[ch]"] =
         "sources that a state has compiled: the least recently used of 64 goes first",
      ["convert.[ch]"] = "ids and documents as values of Lua",
      ["hook_args.[ch]"] = "what hooks get and give, between C and Lua",
      ["hooks.[ch]"] = "hooks in Lua: the implementation of query/hook.h",
      ["lateness.[ch]"] = "how often each trusted source has held a thread past a deadline",
      ["loader.[ch]"] =
         "scripts that have names: those that come along, and those of an operator's folder",
      ["pattern.[ch]"] = "Lua's patterns, matched in counted steps and without recursion",
      ["patterns.c"] = "find, match, gmatch and gsub for scripts that nobody vouches for",
      ["pool.[ch]"] = "pairs of states of one database, each borrowed for one run",
      ["sandbox.[ch]"] = "what a script can reach: an allow-list, made anew for each run",
      ["state.[ch]"] = "one Lua state with its budget: made, called under protection, thrown away",
      ["strings.c"] = "functions of `string` that make texts, for scripts that nobody vouches for",
      ["tables.c"] = "the library `table` for scripts that nobody vouches for",
      ["text.[ch]"] = "text that a function of C puts together for a script, of bounded size",
   },
   scripts = {
      ["config.lua"] = "every option of the server, commented, as a config file",
      ["rerank.lua"] = "what the rerankers of scripts/rerank share; put before each of them",
      ["server.lua"] = "what a loop of the server begins with: engine, methods, routes",
   },
   ["scripts/rerank"] = {
      ["boost.lua"] = "a hit with a higher number in a field comes nearer",
      ["mmr.lua"] = "hits that are near the query and unlike each other come first",
      ["recency.lua"] = "older hits come later, by the time in a field",
   },
   ["scripts/rpc"] = {
      ["about.lua"] = "Who answers, in LynseDB's words",
      ["add.lua"] = "New records, all or none",
      ["add_records_binary.lua"] = "New records, all or none, in a binary body",
      ["api_info.lua"] = "Every method: its arguments in their order, its answer, its routes",
      ["authenticate.lua"] =
         "Give the key; further requests of this connection of msgpack-RPC need none",
      ["batch_search.lua"] = "The k records nearest to each of several vectors",
      ["batch_search_binary.lua"] =
         "Searches whose queries are the body; over HTTP the answer is blocks of numbers",
      ["build_index.lua"] = "Search with this index from now on; answers when it is built",
      ["bulk_add_binary.lua"] =
         "New records of nothing but a vector, in a body of numbers; they get their ids",
      ["checkpoint.lua"] = "Flush, and retire the log",
      ["close_collection.lua"] =
         "Make durable what was written and let the collection go; the next request opens it",
      ["collection_info.lua"] = "All that a collection says of itself",
      ["collection_shape.lua"] =
         "Rows, those that were deleted among them, and components of a vector",
      ["commit.lua"] = "Make durable what was written, in LynseDB's words; sync does the same",
      ["count.lua"] = "How many live records there are, or match a filter",
      ["create_database.lua"] = "Make a database; one that is there stays",
      ["database_exists.lua"] = "Whether there is such a database",
      ["delete.lua"] =
         "Delete records, by their ids or by a filter; ids that are not there are skipped",
      ["drop_collection.lua"] = "Drop a collection with its records",
      ["drop_database.lua"] = "Drop a database with its collections",
      ["drop_hook.lua"] = "Keep a hook no longer",
      ["flush.lua"] = "Write what is in memory into a segment",
      ["get.lua"] = "Records by their ids; those that are not there are left out",
      ["get_collection_config.lua"] = "What a collection was made with",
      ["get_collection_path.lua"] = "The folder that a collection is in, on the server",
      ["head.lua"] = "The n first records in the order in which they were written",
      ["head_binary.lua"] = "The n first records; over HTTP the answer is a block of numbers",
      ["health.lua"] = "Whether the server is alive",
      ["hello.lua"] = "Who answers and what it can do; nothing needs it",
      ["index_mode.lua"] = "The index that was asked for; null before the first",
      ["is_collection_exists.lua"] = "Whether there is such a collection",
      ["is_id_exists.lua"] = "Whether there is a live record with this id",
      ["list_databases.lua"] = "The names of all databases",
      ["list_deleted_ids.lua"] = "The ids of deleted records that could be restored",
      ["list_fields.lua"] = "The names of all fields that records have",
      ["list_hooks.lua"] = "The hooks that a collection keeps",
      ["max_id.lua"] = "The largest whole number that was ever an id; -1 before the first",
      ["metrics.lua"] = "Counters and gauges as Prometheus' text (docs/METRICS.md)",
      ["openapi.lua"] = "Every route, as OpenAPI 3.0 describes them",
      ["query.lua"] = "Records by a filter or by their ids, as maps; without either, all",
      ["query_vectors.lua"] =
         "Records by a filter or by their ids, with their vectors; without either, all",
      ["read_by_only_id.lua"] =
         "Records by their ids, with their vectors; all of them must be there",
      ["ready.lua"] = "Whether the server takes requests; over HTTP 503 where it is about to stop",
      ["remove_index.lua"] = "Search without an index; the metric stays",
      ["required_collection.lua"] = "Open a collection, or create it",
      ["restore.lua"] = "Bring deleted records back; ids that are not deleted are skipped",
      ["search.lua"] = "The k records nearest to a vector, nearest first",
      ["search_binary.lua"] =
         "A search whose query is the body; over HTTP the answer is a block of numbers",
      ["search_range.lua"] = "All records at or nearer than a score, nearest first",
      ["set_hook.lua"] =
         "Keep a hook with the collection, in the place of what was there (docs/LUA.md)",
      ["show_collections.lua"] = "The names of a database's collections",
      ["show_collections_details.lua"] = "What a database's collections are; opens every one",
      ["stats.lua"] = "How many records there are, and what they are searched with",
      ["sync.lua"] = "Make durable what was written; answers up to which number of the log all is",
      ["tail.lua"] = "The n last records in the order in which they were written",
      ["tail_binary.lua"] = "The n last records; over HTTP the answer is a block of numbers",
      ["update_collection_description.lua"] = "Describe a collection anew",
      ["upsert.lua"] = "New or replaced records, all or none",
      ["upsert_records_binary.lua"] = "New or replaced records, all or none, in a binary body",
   },
   ["scripts/http"] = {
      ["planned.lua"] = "LynseDB's methods that are not there yet",
      ["metrics.lua"] = "where Prometheus looks for metrics",
      ["service.lua"] = "the routes of the server itself",
   },
   ["lua/lib/lynse"] = {
      ["args.lua"] = "how a method declares its arguments",
      ["schemas.lua"] = "arguments of methods as schemas of JSON",
      ["shapes.lua"] = "how a method declares what it answers",
   },
   ["lua/module"] = {
      ["arrays.lua"] = "vectors and ids of a program in memory of the FFI",
      ["collections.c"] = "collections opened and made, and what is done to all of one",
      ["documents.[ch]"] = "the fields of a record, between tables of Lua and msgpack",
      ["failure.[ch]"] = "errors of the library as Lua sees them",
      ["handles.[ch]"] = "open roots, collections and scans, as userdata that know what is closed",
      ["hooks.c"] = "hooks that a collection keeps: set, dropped, listed",
      ["lynse.lua"] = "the module as a program sees it: names of options, memory of the FFI",
      ["module.[ch]"] = "`require 'lynse'` in a program's own LuaJIT",
      ["module_script.h"] = "arrays.lua and lynse.lua as texts, which the build puts in",
      ["natives.h"] = "the functions of C that the Lua part of the module calls",
      ["options.[ch]"] = "members of a table of options, as C wants them",
      ["reads.c"] = "records by id, counted, and walked over",
      ["records.[ch]"] = "ids, rows and hits, between Lua and the structs of lynse.h",
      ["roots.c"] = "open roots and what is done to all of one",
      ["scalars.[ch]"] = "values that Lua has no type for: wide integers, datetimes, bytes",
      ["search.c"] = "searches, and in them functions of the program that asks",
      ["search_call.h"] = "a search that a program asked for, and the functions that take part",
      ["steps.c"] = "searches that a program carries on by and by",
      ["tickets.[ch]"] = "writes that a program does not wait for",
      ["writes.c"] = "rows added, replaced, deleted and brought back",
   },
   ["server"] = {
      ["arguments.[ch]"] = "the arguments of a method: declared in Lua, checked and read in C",
      ["blocks.[ch]"] = "ids, vectors and documents of a request as the structs of lynse.h",
      ["completion.[ch]"] = "from threads of the engine back to a loop",
      ["config_file.[ch]"] = "the keys of a config file as texts: JSON, INI or Lua",
      ["connection.[ch]"] = "one peer: its bytes, its protocol, what is owed to it",
      ["dispatch.[ch]"] = "a request to its method and back: key, arguments, coroutine, answer",
      ["engine_call.[ch]"] = "a call of lynse.h that a coroutine waits for",
      ["engine_hooks.c"] = "hooks that collections keep, as methods see them",
      ["engine_metrics.c"] = "what the method metrics is made of",
      ["engine_natives.[ch]"] = "the engine as methods see it: collections as values of Lua",
      ["engine_reads.c"] = "searches, look-ups and walks of methods",
      ["engine_roots.c"] = "databases and collections: made, opened, listed, dropped",
      ["engine_server.c"] = "what methods ask of the server itself",
      ["engine_writes.c"] = "writes of methods, answered by completions of the engine",
      ["hits_value.[ch]"] = "what was found, as a value of Lua that is encoded with the answer",
      ["http.c"] = "HTTP/1.1 on a connection: requests in, answers out in order",
      ["http_chunked.[ch]"] = "what stands between the data of a chunked body",
      ["http_codec.[ch]"] = "what stands in a request's head, decoded; and the heads of answers",
      ["http_parser.[ch]"] =
         "requests of HTTP/1.1 and 1.0 out of a stream, strictly and within bounds",
      ["http_text.[ch]"] = "which bytes may stand where in HTTP, and lists with commas",
      ["limits.[ch]"] = "what an operator allows less of than the engine would",
      ["listener.[ch]"] = "where peers knock: a port, or a Unix socket",
      ["log_lines.[ch]"] = "the log and the audit trail: a JSON object a line",
      ["loop.[ch]"] = "one thread with its libuv loop, its state of Lua and its connections",
      ["main.c"] = "the program lynse: a verb, and what it is given",
      ["methods.[ch]"] = "the methods and routes of a loop, as its scripts registered them",
      ["metrics.[ch]"] = "what a loop counts",
      ["metrics_bounds.h"] = "the upper ends of the buckets of a histogram",
      ["metrics_text.c"] = "counters as the text that Prometheus reads",
      ["opened_names.[ch]"] = "the collections that callers have opened",
      ["options.[ch]"] = "what the server can be told, from four sources",
      ["peer.[ch]"] = "the caller's end of msgpack-RPC: a blocking socket",
      ["records_binary.[ch]"] = "vectors, ids and fields out of LynseDB's binary bodies",
      ["report.c"] = "what is told of a request when it is answered",
      ["request.[ch]"] = "one request from its last byte to its answer",
      ["result.[ch]"] = "what a method answered, from Lua to msgpack",
      ["rpc.c"] = "msgpack-RPC on a connection: frames in, answers out in any order",
      ["scripts.h"] = "the scripts that the program carries",
      ["server.[ch]"] = "one root behind a port and a socket: its loops, its end",
      ["stream.h"] = "bytes to and from one peer, whatever they travel in: the seam for TLS",
      ["stream_plain.c"] = "a socket of libuv as a stream",
      ["suggest.[ch]"] = "\"did you mean\": the name that is nearest to a mistyped one",
      ["vector_codec.[ch]"] = "the numbers of vectors out of bytes: float32, float16",
      ["verb_call.c"] = "lynse call: one request to a server, its answer as JSON",
      ["verb_lua.c"] = "lynse lua: a script whose require knows lynse",
      ["verb_serve.c"] = "lynse serve and lynse config: options, signals, the server's life",
      ["verbs.h"] = "what the program can be told to do, a file a verb",
   },
   ["python"] = {
      ["CMakeLists.txt"] = "the extension module of the Python package",
      ["_native_build.py"] = "writes the C source of lynse._native out of lynse.h",
      ["exports.map"] = "what the extension module shows: its init function",
      ["requirements.cmake"] =
         "what a build by pip needs, said in one sentence where it is missing",
   },
   ["python/lynse"] = {
      ["__init__.py"] = "VectorDBClient, ResultView, errors: what a program imports",
      ["_fields.py"] = "fields between Python's values and msgpack",
      ["_hooks.py"] = "functions in Lua that rank: of one search, and kept with a collection",
      ["_marshal.py"] = "between numpy's arrays and the structs of lynse.h",
      ["_native.pyi"] = "the type of the extension that cffi makes of lynse.h",
      ["_neighbour.py"] = "says so when LynseDB's package is in the same environment",
      ["_records.py"] = "checks what a caller hands in: ids, vectors, fields, counts",
      ["_requests.py"] = "ids of requests, with which a write that is sent again is applied once",
      ["_wire.py"] = "params and answers of a server as msgpack",
      ["address.py"] = "where a server listens: what a uri says",
      ["client.py"] = "VectorDBClient and databases: what is opened, and what is in it",
      ["collection.py"] = "collections: LynseDB's names over a backend that does the work",
      ["errors.py"] = "one exception for each line of the table of errors",
      ["http.py"] = "calls of a server over HTTP",
      ["local.py"] = "roots in this process: opened once, shared, closed by the last",
      ["local_collection.py"] = "an open collection in this process: calls of lynse.h, in steps",
      ["planned.py"] = "LynseDB's methods that come with later releases, and say so",
      ["py.typed"] = "marks the package as typed",
      ["remote.py"] = "the root of a server: its databases and collections",
      ["remote_collection.py"] = "a collection of a server: its methods, one each",
      ["rerank.py"] = "what a rerank hook may answer, and the order that follows",
      ["result_view.py"] = "what a search or a read answers: columns, rows, conversions",
      ["rpc.py"] = "calls of a server over msgpack-RPC",
      ["server.py"] = "python -m lynse.server: finds the program and becomes it",
      ["session.py"] = "insert sessions: rows are stored when the block ends well",
      ["transport.py"] = "a pool of connections, time-outs, and what a broken one means",
      ["types.py"] = "the types of the API, and the seam between it and what carries it out",
   },
}
