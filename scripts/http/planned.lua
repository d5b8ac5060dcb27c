-- SPDX-License-Identifier: Apache-2.0
-- planned.lua: LynseDB's methods that are not there yet.  They answer 501 and their name,
-- to POST where no other verb is named.
return {
   -- Copies of databases and collections.
   "snapshot_database", "restore_database", "snapshot_collection", "restore_collection",
   "export_collection", "import_collection", "compact",
   -- Blobs.
   "write_blob", "GET read_blob", "delete_blob",
   -- Further vectors of a record.
   "create_vector_field", "list_vector_fields", "add_named_vectors", "build_vector_field_index",
   "remove_vector_field_index", "add_sparse_vectors", "sparse_search",
   -- Search by words, and by both.
   "bm25_search", "text_search", "hybrid_search",
   -- What a search did; the engine does not count it yet.
   "search_profile",
   -- Clusters.
   "cluster_metadata/get", "cluster_metadata/cas",
}
