-- SPDX-License-Identifier: Apache-2.0
std = "luajit"
max_line_length = 100
files["tests/lua"] = { std = "luajit+busted" }
files["scripts/rerank"] = { read_globals = { "ranking" } } -- scripts/rerank.lua, before them
exclude_files = { "tests/lua/hostile" } -- what they mean is harm, not style
