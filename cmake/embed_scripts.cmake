# SPDX-License-Identifier: Apache-2.0
# cmake -DROOT=scripts -DOUT=builtin_scripts.c -P embed_scripts.cmake: the scripts of the folders of
# hook points as one C file (lua/builtin.h).
# scripts/rerank.lua stands before each of scripts/rerank.
file(GLOB scripts RELATIVE ${ROOT} ${ROOT}/score/*.lua ${ROOT}/rerank/*.lua)
list(SORT scripts)
set(arrays "")
set(lines "")
set(number 0)
foreach(script ${scripts})
  file(READ ${ROOT}/${script} hex HEX)
  file(SIZE ${ROOT}/${script} size)
  get_filename_component(folder ${script} DIRECTORY)
  if(EXISTS ${ROOT}/${folder}.lua)
    file(READ ${ROOT}/${folder}.lua shared HEX)
    file(SIZE ${ROOT}/${folder}.lua shared_size)
    file(READ ${ROOT}/${script} text)
    string(REGEX MATCH "-- version: [0-9]+\n" version "${text}") # is read of the first comments
    string(LENGTH "${version}" version_size)
    string(HEX "${version}" version)
    string(PREPEND hex ${version} ${shared})
    math(EXPR size "${size} + ${shared_size} + ${version_size}")
  endif()
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
  string(REGEX REPLACE "\\.lua$" "" path ${script})
  string(APPEND arrays "static const char script_${number}[] = {${bytes}'\\0'};\n")
  string(APPEND lines "    {\"${path}\", script_${number}, ${size}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT} "#include \"lua/builtin.h\"\n\n${arrays}
const struct builtin_script builtin_scripts[] = {\n${lines}    {NULL, NULL, 0},\n};\n")
