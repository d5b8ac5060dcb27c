# SPDX-License-Identifier: Apache-2.0
# server/: the parsers of both protocols.  They see base and codec, and nothing of libuv or Lua.
#   lynse_server_parsers   objects, for the server, tests and fuzz targets (beside lynse_internal)
function(lynse_server_parsers)
  set(root ${PROJECT_BINARY_DIR}/include/server)
  file(MAKE_DIRECTORY ${root})
  if(NOT EXISTS ${root}/server)
    file(CREATE_LINK ${PROJECT_SOURCE_DIR}/server ${root}/server SYMBOLIC)
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/server/http_*.c
       ${PROJECT_SOURCE_DIR}/server/rpc_codec.c)
  add_library(lynse_server_parsers OBJECT EXCLUDE_FROM_ALL ${sources})
  target_include_directories(lynse_server_parsers
    PUBLIC ${root}
    PRIVATE ${PROJECT_SOURCE_DIR}/core/include ${PROJECT_BINARY_DIR}/include/base
            ${PROJECT_BINARY_DIR}/include/codec)
endfunction()

lynse_server_parsers()
