-- SPDX-License-Identifier: Apache-2.0
return {
   summary = "Who answers.",
   public = true,
   arguments = {},
   run = function() return { status = "success", message = "LynseDB HTTP API" } end,
}
