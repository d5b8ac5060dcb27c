-- SPDX-License-Identifier: Apache-2.0
local args = require "lynse.args"
local shapes = require "lynse.shapes"

return {
   summary = "Give the key; further requests of this connection of msgpack-RPC need none.",
   public = true,
   rpc_only = true,
   arguments = { args.text("api_key", "The key.", { required = true, low = 1, high = 512 }) },
   returns = shapes.map { authenticated = shapes.flag },
   run = function(context, a)
      if not context.engine.authenticate(a.api_key) then
         context.engine.refuse("UNAUTHORIZED", "Unauthorized")
      end
      return { authenticated = true }
   end,
}
