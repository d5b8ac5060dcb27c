-- SPDX-License-Identifier: Apache-2.0
-- allow.lua: what the rules let pass, each with its reason.
return {
   -- Files over 600 lines.
   file_length = {
      ["core/codec/msgpack.c"] = "decoder, checker, cursor and writer share one table of heads",
      ["python/lynse/collection.py"] = "one class: every argument of a collection's methods",
   },
   -- Files with bounded recursion.
   recursion = {
      ["core/filter/parse.c"] = "recursive descent with a depth limit",
   },
   -- Files, or folders with a slash, that may use atomics.
   atomics = {
      ["core/base/atomic.h"] = "the names themselves",
      ["core/base/mpsc.h"] = "the lock-free queue",
      ["core/base/mpsc.c"] = "the lock-free queue",
      ["core/base/alloc.c"] = "counters and budget, counted by every thread",
      ["core/base/check.c"] = "the poison flag and the panic hook",
      ["core/base/log.c"] = "the sink, set by one thread and called by all",
      ["core/base/faults.c"] = "fault points, armed by the test and hit by all threads",
      ["core/actor/"] = "mailboxes, states of actors, cancel flags of messages",
      ["core/os/vfs.h"] = "the reference count of a directory",
      ["core/os/mapping.c"] = "the table of mapped ranges, read in a signal handler",
      ["core/os/fork_registry.c"] = "the table of open roots, read in a forked child",
      ["core/simd/select.c"] = "the kernel table, written once",
      ["core/store/tombstones.c"] = "reference counts of versions and of the chunks they share",
      ["core/store/part_file.c"] = "which blocks a reader has verified",
      ["core/segment/segment.h"] = "the reference count of a segment",
      ["core/segment/segment.c"] = "the reference count of a segment",
      ["core/segment/active_segment.c"] = "rows appended by one thread, read by all",
      ["core/segment/segment_builder.h"] = "the cancel flag of a job",
      ["core/segment/segment_builder.c"] = "the cancel flag of a job",
      ["core/segment/view.h"] = "the reference count of a view",
      ["core/segment/view.c"] = "the reference count of a view",
      ["core/segment/cached_column.h"] = "the length of a tail's column",
      ["core/segment/column_reader.c"] = "the length of a tail's column",
      ["core/query/search.h"] = "the cancel flag of a search",
      ["core/query/search.c"] = "the cancel flag of a search",
      ["server/request.c"] = "the cancel flag that a search on a worker looks at",
      ["server/engine_call.c"] = "the same flag, before a call begins",
      ["server/server.h"] = "counters that loops share, and whether it drains",
      ["server/server.c"] = "counters that loops share, and whether it drains",
      ["server/metrics.h"] = "counters of a loop, which other loops read",
      ["server/metrics.c"] = "counters of a loop, which other loops read",
      ["server/metrics_text.c"] = "counters of a loop, which other loops read",
      ["core/api/handles.h"] = "calls inside a handle; the cancel flag of a root's searches",
      ["core/api/calls.c"] = "calls inside a handle; the cancel flag of a root's searches",
      ["core/query/row_filter.h"] = "the cancel flag of who walks over rows",
      ["core/query/row_filter.c"] = "the cancel flag of who walks over rows",
      ["core/engine/metrics.c"] = "counters",
      ["core/engine/seal_task.c"] = "the cancel flag of a job",
   },
}
