# SPDX-License-Identifier: Apache-2.0
# cmake -DSCRIPT=lynse.lua -DOUT=module_lynse.c -P embed_module.cmake: a Lua part of the module as a
# C file (lua/module/module_script.h).
cmake_path(GET SCRIPT STEM name)
file(READ ${SCRIPT} hex HEX)
file(SIZE ${SCRIPT} size)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
file(WRITE ${OUT} "#include \"lua/module/module_script.h\"\n
static const char text[] = {${bytes}'\\0'};
const struct module_script module_${name} = {\"=${name}\", text, ${size}};\n")
