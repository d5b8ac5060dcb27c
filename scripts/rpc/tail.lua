-- SPDX-License-Identifier: Apache-2.0
return require "lynse.ends"("tail",
   "The n last records in the order in which they were written.")
