-- SPDX-License-Identifier: Apache-2.0
return require "lynse.ends"("head",
   "The n first records; over HTTP the answer is a block of numbers.")
