-- SPDX-License-Identifier: Apache-2.0
-- arrays.lua: vectors and ids of a program in memory of the FFI, for the functions of natives.h.
--
-- A view is a struct in a table with what keeps the memory alive; C reads it while the call runs.
-- What is no vector or id gives nil and an error.  Of a cdata its type is asked and nothing else:
-- tostring of one may run a function of the program.
local native = ...
local ffi = require "ffi"

-- As struct vectors_view and struct numbers_view of records.h.
local vectors_view = ffi.typeof "struct { const float *values; double count, dim; }"
local numbers_view = ffi.typeof "struct { const uint64_t *numbers; double count, is_signed; }"
local float_array = ffi.typeof "float[?]"
local float_pointer = ffi.typeof "const float *"
local number_array = ffi.typeof "uint64_t[?]"
local number_pointer = ffi.typeof "const uint64_t *"
local signed, unsigned = ffi.typeof "int64_t", ffi.typeof "uint64_t"
local istype = ffi.istype

local VECTOR_BYTES_MAX = 256 * 2 ^ 20 -- of a call, as the library has it
local DIM_MAX = 32768

local function fail(code, text, ...) return nil, native.failure(code, text:format(...)) end

-- For C, whose interface says nothing of the type of a cdata: 1 unsigned, 2 signed, 0 no integer.
native.set_integer_kind(function(value)
   local kind = istype(unsigned, value) and 1 or istype(signed, value) and 2 or 0
   -- istype takes a type itself for one of its values; tostring of these is LuaJIT's own.
   return kind > 0 and tostring(value):find "^ctype<" and 0 or kind
end)

-- ---- Vectors ----

-- The type of a cdata, in words: "float [3]".
local function type_of(value)
   local words = tostring(ffi.typeof(value)):match "^ctype<(.*)>$" or ""
   return (words:gsub("^const ", ""))
end

-- "*" of a pointer, "[]" of an array; nil for what is neither.
local function shape_of(words, element)
   local shape = words:match("^" .. element .. " (.*)$")
   if shape == "*" then return "*" end
   return shape and (shape:find "^%[" or shape:find "^%(&%)%[") and "[]" or nil
end

-- Floats in memory: a pointer, how many (nil: the type does not say), and what keeps them alive.
local function memory_of(values)
   if type(values) == "string" then
      if #values % 4 ~= 0 then
         return fail("INVALID", "vectors: %d bytes are no floats", #values)
      end
      return ffi.cast(float_pointer, values), #values / 4
   end
   local words = type_of(values)
   local shape = shape_of(words, "float")
   if not shape then return fail("INVALID", "vectors: a %s, must be floats", words) end
   if tostring(values):find "^ctype<" then -- the type of itself, and no memory
      return fail("INVALID", "vectors: a type of the FFI, must be floats")
   end
   if shape == "*" then return ffi.cast(float_pointer, values) end
   return ffi.cast(float_pointer, values), ffi.sizeof(values) / 4
end

local function copy_numbers(to, at, row, count)
   for i = 1, count do
      local x = row[i]
      if type(x) ~= "number" then
         return fail("INVALID", "vectors: component %d is a %s", i, type(x))
      end
      to[at + i - 1] = x
   end
   return true
end

local function length_of(row)
   if type(row) == "table" then return #row end
   if type(row) ~= "string" and type(row) ~= "cdata" then
      return fail("INVALID", "vectors: a %s, must be a vector", type(row))
   end
   local pointer, count = memory_of(row)
   if not pointer then return nil, count end
   if not count then return fail("INVALID", "vectors: a pointer among rows has no length") end
   return count
end

-- A list of rows, each a table, a text of raw floats, or an array of the FFI: copied into one.
local function join_rows(rows)
   local count = #rows
   local dim, err = length_of(rows[1])
   if not dim then return nil, err end
   if count * dim * 4 > VECTOR_BYTES_MAX then
      return fail("LIMIT", "vectors: %.0f bytes, at most %.0f a call", count * dim * 4,
         VECTOR_BYTES_MAX)
   end
   local all = float_array(math.max(count * dim, 1))
   for i = 1, count do
      local row = rows[i]
      local length, why = length_of(row)
      if not length then return nil, why end
      if length ~= dim then
         return fail("DIMENSION", "vectors: row %d has %d components, row 1 has %d", i, length, dim)
      end
      if type(row) == "table" then
         local done, wrong = copy_numbers(all, (i - 1) * dim, row, dim)
         if not done then return nil, wrong end
      else
         ffi.copy(all + (i - 1) * dim, ffi.cast(float_pointer, row), dim * 4)
      end
   end
   return { vectors_view(all, count, dim), all }
end

-- `values` in one piece: `count` vectors (nil: as many as there are) of `dim` (nil: it follows).
local function view_flat(values, count, dim)
   local pointer, length, kept
   if type(values) == "table" then
      length = #values
      if length * 4 > VECTOR_BYTES_MAX then
         return fail("LIMIT", "vectors: %.0f bytes, at most %.0f a call", length * 4,
            VECTOR_BYTES_MAX)
      end
      kept = float_array(math.max(length, 1))
      local done, wrong = copy_numbers(kept, 0, values, length)
      if not done then return nil, wrong end
      pointer = ffi.cast(float_pointer, kept)
   else
      pointer, length = memory_of(values)
      if not pointer then return nil, length end
   end
   if length and not dim and count and count > 0 then dim = length / count end
   if not dim then return fail("DIMENSION", "vectors: their dimension is not known: give dim") end
   if type(dim) ~= "number" or not (dim >= 1 and dim <= DIM_MAX) or dim % 1 ~= 0 then
      return fail("DIMENSION", "vectors: of dimension %s, must be 1 to %d", tostring(dim), DIM_MAX)
   end
   count = count or (length and length / dim)
   if not count then return fail("INVALID", "vectors: a pointer has no length: give ids") end
   if count % 1 ~= 0 or length and count * dim ~= length then
      return fail("DIMENSION", "vectors: %.0f components, in vectors of %.0f", length, dim)
   end
   if pointer == nil then return fail("INVALID", "vectors: a pointer that is NULL") end
   return { vectors_view(pointer, count, dim), kept or values }
end

-- A view of vectors, in a table with what keeps them alive; nil and an error.  count: how many
-- there have to be; dim: a number, or a function that finds out what it is.
local function view_vectors(values, count, dim)
   local kind = type(values)
   if kind == "table" and #values > 0 and type(values[1]) ~= "number" then
      return join_rows(values)
   end
   if kind ~= "table" and kind ~= "string" and kind ~= "cdata" then
      return fail("INVALID", "vectors: %s", values == nil and "missing" or "a " .. kind)
   end
   if type(dim) == "function" then
      local is_pointer = kind == "cdata" and shape_of(type_of(values), "float") == "*"
      dim = (is_pointer or not count) and dim() or nil
   end
   return view_flat(values, count, dim)
end

-- A copy of a view, which later changes of the program's memory do not reach.
local function copy_vectors(vectors)
   local view = vectors[1]
   local size = view.count * view.dim
   local all = float_array(math.max(size, 1))
   ffi.copy(all, view.values, size * 4)
   return { vectors_view(all, view.count, view.dim), all }
end

-- ---- Ids ----

-- Integers in an array of the FFI, or behind a pointer, as { nil, view, what keeps them alive }.
local function view_numbers(ids, count)
   local words = type_of(ids)
   local shape = shape_of(words, "uint64_t") or shape_of(words, "int64_t")
   if not shape or tostring(ids):find "^ctype<" then
      return fail("INVALID", "ids: a %s, must be int64_t or uint64_t", words)
   end
   local length = shape == "[]" and ffi.sizeof(ids) / 8 or nil
   count = count or length
   if type(count) ~= "number" then
      return fail("INVALID", "ids: a pointer has no length: give count")
   end
   if not (count >= 0 and count <= (length or 2 ^ 53)) or count % 1 ~= 0 then
      return fail("INVALID", "count: %g, must be a whole number%s", count,
         length and (" up to %d"):format(length) or "")
   end
   local pointer = ffi.cast(number_pointer, ids)
   if pointer == nil then return fail("INVALID", "ids: a pointer that is NULL") end
   return { nil, numbers_view(pointer, count, words:find "^u" and 0 or 1), ids }
end

-- Ids as C takes them: { list } or { nil, view, … }; then how many, one if it is a single id.
-- count: of those in memory of the FFI; with others it is refused.
local function view_ids(ids, count)
   if type(ids) == "cdata" and not istype(signed, ids) and not istype(unsigned, ids) then
      local made, err = view_numbers(ids, count)
      if not made then return nil, err end
      return made, made[2].count
   end
   if count ~= nil then
      return fail("INVALID", "count: only for ids in memory of the FFI")
   end
   if type(ids) == "table" then return { ids }, #ids end
   return { { ids } }, 1
end

-- ---- Hits ----

-- Vectors and numbers of hits: from one text of raw memory to arrays.
local function spread(hits)
   local raw, numbers = hits.vectors, hits.numbers
   if numbers then
      hits.numbers = number_array(hits.count)
      ffi.copy(hits.numbers, numbers, hits.count * 8)
   end
   if not raw then return hits end
   local list, dim = {}, hits.dim
   local at = ffi.cast(float_pointer, raw)
   for i = 1, hits.count do
      list[i] = float_array(dim)
      ffi.copy(list[i], at + (i - 1) * dim, dim * 4)
   end
   hits.vectors = list
   return hits
end

return {
   view_vectors = view_vectors, copy_vectors = copy_vectors, view_ids = view_ids, spread = spread,
}
