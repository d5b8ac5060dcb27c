# SPDX-License-Identifier: Apache-2.0
# lua/module: lib/lua/lynse.so, `require "lynse"` for a program's own LuaJIT, with the engine in it
# and no library of Lua; and bin/lynse, which runs scripts with it and needs libluajit.
# Both are left out where LuaJIT is missing and in builds that are part of another one; a build with
# a sanitizer, which ships no library, makes the objects alone, for the program (server.cmake).
# cmake --install … --component lua installs them.
if(NOT PROJECT_IS_TOP_LEVEL OR SKBUILD)
  return()
endif()
find_package(PkgConfig QUIET)
if(LYNSE_LUA AND PKG_CONFIG_FOUND)
  pkg_check_modules(LUAJIT QUIET IMPORTED_TARGET GLOBAL luajit)
endif()
if(NOT LYNSE_LUA OR NOT LUAJIT_FOUND)
  message(STATUS "The module for LuaJIT and the program lynse are left out")
  return()
endif()

function(lynse_module_objects)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/lua/module/*.c)
  set(made "")
  foreach(name arrays remote remote_records remote_search classes lynse)
    set(out ${PROJECT_BINARY_DIR}/lua/module_${name}.c)
    set(script ${PROJECT_SOURCE_DIR}/lua/module/${name}.lua)
    add_custom_command(OUTPUT ${out}
      COMMAND ${CMAKE_COMMAND} -DSCRIPT=${script} -DOUT=${out}
              -P ${PROJECT_SOURCE_DIR}/cmake/embed_module.cmake
      DEPENDS ${script} ${PROJECT_SOURCE_DIR}/cmake/embed_module.cmake
      COMMENT "Embedding ${name}.lua" VERBATIM)
    list(APPEND made ${out})
  endforeach()
  set(root ${PROJECT_BINARY_DIR}/include/lua-module)
  file(MAKE_DIRECTORY ${root})
  if(NOT EXISTS ${root}/lua)
    file(CREATE_LINK ${PROJECT_SOURCE_DIR}/lua ${root}/lua SYMBOLIC)
  endif()
  add_library(lynse_module_objects OBJECT ${sources} ${made})
  target_include_directories(lynse_module_objects
    PUBLIC ${PROJECT_SOURCE_DIR}/core/include ${root} ${LUAJIT_INCLUDE_DIRS}
    PRIVATE ${PROJECT_BINARY_DIR}/include/base ${PROJECT_BINARY_DIR}/include/codec)
  if(LYNSE_SANITIZE STREQUAL "thread" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # As in lua.cmake: errors of Lua leave functions without their exits.
    target_compile_options(lynse_module_objects PRIVATE --param=tsan-instrument-func-entry-exit=0)
  endif()
endfunction()

# The archive shows lynse_* alone: what the module uses of base and codec is a copy of its own.
function(lynse_module_library)
  set(objects $<TARGET_OBJECTS:lynse_module_objects> $<TARGET_OBJECTS:core_base>
              $<TARGET_OBJECTS:core_codec>)
  add_library(lynse_module MODULE ${objects})
  set_target_properties(lynse_module PROPERTIES
    LINKER_LANGUAGE C PREFIX "" OUTPUT_NAME lynse
    LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/module.map
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib/lua)
  target_link_options(lynse_module PRIVATE
    LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/module.map
    LINKER:--gc-sections LINKER:-z,relro LINKER:-z,now)
  # Of liblynse-lua the archive alone: functions of Lua are those of the program that requires it.
  add_dependencies(lynse_module lynse_lua_archive)
  target_link_libraries(lynse_module PRIVATE
    $<TARGET_PROPERTY:lynse_lua_static,IMPORTED_LOCATION> lynse_static)

  add_executable(lynse_module_sweep EXCLUDE_FROM_ALL
    ${PROJECT_SOURCE_DIR}/tests/lua/module/memory_sweep.c ${objects})
  set_target_properties(lynse_module_sweep PROPERTIES
    OUTPUT_NAME memory_sweep RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/lua)
  target_include_directories(lynse_module_sweep PRIVATE ${PROJECT_BINARY_DIR}/include/lua-module)
  target_link_libraries(lynse_module_sweep PRIVATE lynse_lua_static)
endfunction()

lynse_module_objects()
if(NOT TARGET lynse_lua_static)
  return()
endif()
lynse_module_library()
install(TARGETS lynse_module LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/lua/5.1
        COMPONENT lua EXCLUDE_FROM_ALL)
