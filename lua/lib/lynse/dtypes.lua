-- SPDX-License-Identifier: Apache-2.0
-- dtypes.lua: types of storage by the names that callers know from numpy, and the words that the
-- library has for them.
local dtypes = {}

-- The first name of each is the one that is answered.
local NAMES = {
   f32 = { "float32", "f32", "float" },
   f16 = { "float16", "f16", "half", "fp16" },
   bf16 = { "bfloat16", "bf16" },
   i8 = { "int8", "i8" },
   u8 = { "uint8", "u8" },
   bit = { "bit", "bool" },
}

local words = {}
dtypes.names = {}
for word, names in pairs(NAMES) do
   for _, name in ipairs(names) do
      words[name] = word
      table.insert(dtypes.names, name)
   end
end
table.sort(dtypes.names)

--- The word of a name; nil for the usual one, which a collection that is there need not have.
function dtypes.word(name)
   local word = words[name]
   return word ~= "f32" and word or nil
end

--- The name of a word.
function dtypes.name(word) return NAMES[word][1] end

return dtypes
