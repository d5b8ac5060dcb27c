# SPDX-License-Identifier: Apache-2.0
# server/: both protocols, and the program bin/lynse (serve, lua, …) that speaks them.
#   lynse_server_parsers   objects that see base and codec, and nothing of libuv or Lua: for the
#                          server, tests and fuzz targets (beside lynse_internal)
#   lynse_server_values    objects between msgpack and Lua: arguments and answers; for tests
#   lynse_program          needs LuaJIT and libuv; mimalloc is its allocator where it is there.  In
#                          builds with a sanitizer it is linked from the internal libraries.
function(lynse_server_parsers)
  set(root ${PROJECT_BINARY_DIR}/include/server)
  file(MAKE_DIRECTORY ${root})
  if(NOT EXISTS ${root}/server)
    file(CREATE_LINK ${PROJECT_SOURCE_DIR}/server ${root}/server SYMBOLIC)
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/server/http_*.c
       ${PROJECT_SOURCE_DIR}/server/address_counts.c ${PROJECT_SOURCE_DIR}/server/log_lines.c
       ${PROJECT_SOURCE_DIR}/server/records_binary.c
       ${PROJECT_SOURCE_DIR}/server/vector_codec.c)
  add_library(lynse_server_parsers OBJECT EXCLUDE_FROM_ALL ${sources})
  target_include_directories(lynse_server_parsers
    PUBLIC ${root}
    PRIVATE ${PROJECT_SOURCE_DIR}/core/include ${PROJECT_BINARY_DIR}/include/base
            ${PROJECT_BINARY_DIR}/include/codec)
endfunction()

lynse_server_parsers()

if(NOT TARGET lynse_module_objects)
  return()
endif()
pkg_check_modules(LIBUV QUIET IMPORTED_TARGET GLOBAL libuv)
if(NOT LIBUV_FOUND)
  message(STATUS "No libuv (libuv1-dev): the program lynse is left out")
  return()
endif()
find_library(MIMALLOC_LIBRARY mimalloc)

function(lynse_server_values)
  set(sources "")
  foreach(name arguments blocks hits_value kind_words result)
    list(APPEND sources ${PROJECT_SOURCE_DIR}/server/${name}.c)
  endforeach()
  add_library(lynse_server_values OBJECT EXCLUDE_FROM_ALL ${sources})
  target_include_directories(lynse_server_values
    PUBLIC ${PROJECT_SOURCE_DIR}/core/include ${PROJECT_BINARY_DIR}/include/server
           ${PROJECT_BINARY_DIR}/include/lua-module ${LUAJIT_INCLUDE_DIRS}
    PRIVATE ${PROJECT_BINARY_DIR}/include/base ${PROJECT_BINARY_DIR}/include/codec)
  if(LYNSE_SANITIZE STREQUAL "thread" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # As in lua.cmake: errors of Lua leave functions without their exits.
    target_compile_options(lynse_server_values PUBLIC --param=tsan-instrument-func-entry-exit=0)
  endif()
endfunction()

lynse_server_values()

function(lynse_program)
  set(made ${PROJECT_BINARY_DIR}/server/server_scripts.c)
  set(embed ${PROJECT_SOURCE_DIR}/cmake/embed_server_scripts.cmake)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/server/*.c)
  file(GLOB parsers ${PROJECT_SOURCE_DIR}/server/http_*.c
       ${PROJECT_SOURCE_DIR}/server/address_counts.c ${PROJECT_SOURCE_DIR}/server/log_lines.c
       ${PROJECT_SOURCE_DIR}/server/records_binary.c ${PROJECT_SOURCE_DIR}/server/vector_codec.c)
  list(REMOVE_ITEM sources ${parsers})
  file(GLOB scripts CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/scripts/*.lua
       ${PROJECT_SOURCE_DIR}/scripts/*/*.lua ${PROJECT_SOURCE_DIR}/lua/lib/lynse/*.lua)
  add_custom_command(OUTPUT ${made}
    COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR} -DOUT=${made} -P ${embed}
    DEPENDS ${scripts} ${embed} COMMENT "Embedding the server's scripts" VERBATIM)
  add_executable(lynse_program ${sources} ${made}
    $<TARGET_OBJECTS:lynse_server_parsers> $<TARGET_OBJECTS:lynse_module_objects>)
  set_target_properties(lynse_program PROPERTIES
    OUTPUT_NAME lynse RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  target_include_directories(lynse_program PRIVATE
    ${PROJECT_SOURCE_DIR}/core/include ${PROJECT_BINARY_DIR}/include/server
    ${PROJECT_BINARY_DIR}/include/lua-module ${PROJECT_BINARY_DIR}/include/base
    ${PROJECT_BINARY_DIR}/include/codec)
  target_link_libraries(lynse_program PRIVATE PkgConfig::LIBUV)
  if(LYNSE_SANITIZE STREQUAL "thread" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # As in lua.cmake: errors of Lua leave functions without their exits.
    target_compile_options(lynse_program PRIVATE --param=tsan-instrument-func-entry-exit=0)
  endif()
  if(LYNSE_SANITIZE STREQUAL "thread")
    target_sources(lynse_program PRIVATE ${PROJECT_SOURCE_DIR}/tests/server/tsan_close.c)
  endif()
  if(LYNSE_SANITIZE)
    target_link_libraries(lynse_program PRIVATE lynse_lua_internal)
  else()
    target_sources(lynse_program PRIVATE
      ${PROJECT_SOURCE_DIR}/lua/script_folder.c # the library shows none of its own
      $<TARGET_OBJECTS:core_base> $<TARGET_OBJECTS:core_codec>)
    target_link_options(lynse_program PRIVATE LINKER:--gc-sections)
    target_link_libraries(lynse_program PRIVATE lynse_lua_static)
    if(MIMALLOC_LIBRARY)
      target_link_libraries(lynse_program PRIVATE ${MIMALLOC_LIBRARY})
    endif()
  endif()
endfunction()

lynse_program()
install(TARGETS lynse_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
        COMPONENT lua EXCLUDE_FROM_ALL)

# cmake --install BUILD --component server: what a machine needs that serves.
function(lynse_server_install)
  set(made ${PROJECT_BINARY_DIR}/server)
  set(documents ${CMAKE_INSTALL_DATADIR}/doc/lynse)
  configure_file(${PROJECT_SOURCE_DIR}/packaging/lynse.service ${made}/lynse.service @ONLY)
  file(CREATE_LINK lynse ${made}/lynsedb SYMBOLIC)
  install(TARGETS lynse_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
          COMPONENT server EXCLUDE_FROM_ALL)
  install(FILES ${made}/lynsedb DESTINATION ${CMAKE_INSTALL_BINDIR}
          COMPONENT server EXCLUDE_FROM_ALL)
  install(FILES ${made}/lynse.service DESTINATION lib/systemd/system
          COMPONENT server EXCLUDE_FROM_ALL)
  install(FILES ${PROJECT_SOURCE_DIR}/docs/OPERATIONS.md ${PROJECT_SOURCE_DIR}/docs/OPTIONS.md
                ${PROJECT_SOURCE_DIR}/docs/METRICS.md ${PROJECT_SOURCE_DIR}/scripts/config.lua
          DESTINATION ${documents} COMPONENT server EXCLUDE_FROM_ALL)
endfunction()

lynse_server_install()
