-- SPDX-License-Identifier: Apache-2.0
return {
   summary = "The names of all databases.",
   arguments = {},
   run = function(context) return { databases = context.engine.list_databases() } end,
}
