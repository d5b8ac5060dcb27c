-- SPDX-License-Identifier: Apache-2.0
return require "lynse.ends"("tail",
   "The n last records; over HTTP the answer is a block of numbers.")
