-- SPDX-License-Identifier: Apache-2.0
return {
   summary = "Whether the server is alive.",
   public = true,
   arguments = {},
   run = function() return { status = "ok" } end,
}
