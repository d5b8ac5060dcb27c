# SPDX-License-Identifier: Apache-2.0
# cmake -DSCRIPT=lynse.lua -DOUT=module_script.c -P embed_module.cmake: the Lua part of the module
# as a C file (lua/module/module_script.h).
file(READ ${SCRIPT} hex HEX)
file(SIZE ${SCRIPT} size)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
file(WRITE ${OUT} "#include \"lua/module/module_script.h\"\n
const char module_script[] = {${bytes}'\\0'};\nconst size_t module_script_bytes = ${size};\n")
