-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "The folder that a collection is in, on the server.",
   arguments = args.of_collection {},
   returns = shapes.of_collection { collection_path = shapes.text },
   run = function(context, a)
      local info = context:collection(a):info()
      local root = context.engine.server_state().data_dir
      return context.answer(a, { collection_path = root .. "/" .. info.directory })
   end,
}
