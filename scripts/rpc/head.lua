-- SPDX-License-Identifier: Apache-2.0
return require "lynse.ends"("head",
   "The n first records in the order in which they were written.")
