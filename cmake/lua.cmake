# SPDX-License-Identifier: Apache-2.0
# lua/: scripts in the engine.  liblynse-lua.so and .a show lynse_lua_* alone and hold a copy of
# base and codec; core knows of them by query/hook.h and builds without LuaJIT.
#   lynse_lua_internal   for tests and benchmarks: the objects, beside lynse_internal
find_package(PkgConfig QUIET)
if(LYNSE_LUA AND PKG_CONFIG_FOUND)
  pkg_check_modules(LUAJIT QUIET IMPORTED_TARGET GLOBAL luajit)
endif()
if(LYNSE_LUA AND NOT LUAJIT_FOUND)
  message(STATUS "No LuaJIT (libluajit-5.1-dev): liblynse-lua and its tests are left out")
endif()
set(LYNSE_HAS_LUA OFF)
if(LYNSE_LUA AND LUAJIT_FOUND)
  set(LYNSE_HAS_LUA ON)
endif()

function(lynse_lua_objects)
  set(made ${PROJECT_BINARY_DIR}/lua/builtin_scripts.c)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/lua/*.c)
  file(GLOB scripts CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/scripts/*.lua
       ${PROJECT_SOURCE_DIR}/scripts/*/*.lua)
  add_custom_command(OUTPUT ${made}
    COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR}/scripts -DOUT=${made}
            -P ${PROJECT_SOURCE_DIR}/cmake/embed_scripts.cmake
    DEPENDS ${scripts} ${PROJECT_SOURCE_DIR}/cmake/embed_scripts.cmake
    COMMENT "Embedding scripts" VERBATIM)
  lynse_include_root(query)
  set(root ${PROJECT_BINARY_DIR}/include/lua-host)
  file(MAKE_DIRECTORY ${root})
  if(NOT EXISTS ${root}/lua)
    file(CREATE_LINK ${PROJECT_SOURCE_DIR}/lua ${root}/lua SYMBOLIC)
  endif()
  add_library(lynse_lua_objects OBJECT EXCLUDE_FROM_ALL ${sources} ${made})
  target_include_directories(lynse_lua_objects
    PUBLIC ${PROJECT_SOURCE_DIR}/core/include ${root}
    PRIVATE ${PROJECT_BINARY_DIR}/include/base ${PROJECT_BINARY_DIR}/include/codec
            ${PROJECT_BINARY_DIR}/include/query)
  target_link_libraries(lynse_lua_objects PUBLIC PkgConfig::LUAJIT)
  target_compile_definitions(lynse_lua_objects PRIVATE LYNSE_LUA_VERSION="${PROJECT_VERSION}")
  if(LYNSE_SANITIZE STREQUAL "thread" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # Errors of Lua leave functions without their exits, of which ThreadSanitizer keeps a stack.
    target_compile_options(lynse_lua_objects PRIVATE --param=tsan-instrument-func-entry-exit=0)
  endif()
endfunction()

function(lynse_lua_shared_library)
  set(objects $<TARGET_OBJECTS:lynse_lua_objects> $<TARGET_OBJECTS:core_base>
              $<TARGET_OBJECTS:core_codec>)
  add_library(lynse_lua SHARED ${objects})
  set_target_properties(lynse_lua PROPERTIES
    LINKER_LANGUAGE C OUTPUT_NAME lynse-lua VERSION ${PROJECT_VERSION}
    SOVERSION ${LYNSE_SOVERSION}
    LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/exports.map
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
  target_link_options(lynse_lua PRIVATE
    LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/exports.map
    LINKER:--gc-sections LINKER:-z,relro LINKER:-z,now LINKER:--no-undefined)
  target_link_libraries(lynse_lua PRIVATE lynse PkgConfig::LUAJIT Threads::Threads m
                                            ${LYNSE_LIBRARIES})

endfunction()

function(lynse_lua_static_library)
  lynse_joined_archive(lynse_lua_archive lynse_lua_static lynse-lua
    $<TARGET_OBJECTS:lynse_lua_objects> $<TARGET_OBJECTS:core_base> $<TARGET_OBJECTS:core_codec>)
  target_link_libraries(lynse_lua_static INTERFACE lynse_static PkgConfig::LUAJIT)
endfunction()

# The header comes with those of liblynse, which names it only.
function(lynse_lua_install)
  set(libraries ${CMAKE_INSTALL_LIBDIR})
  set(made ${PROJECT_BINARY_DIR}/package)
  lynse_make_pc(lynse-lua ${made}/lynse-lua.pc)
  install(TARGETS lynse_lua LIBRARY DESTINATION ${libraries} COMPONENT library)
  install(FILES ${PROJECT_BINARY_DIR}/lib/liblynse-lua.a DESTINATION ${libraries}
          COMPONENT library)
  install(FILES ${made}/lynse-lua.pc DESTINATION ${libraries}/pkgconfig COMPONENT library)
endfunction()

if(LYNSE_HAS_LUA)
  lynse_lua_objects()
  add_library(lynse_lua_internal STATIC EXCLUDE_FROM_ALL $<TARGET_OBJECTS:lynse_lua_objects>)
  target_include_directories(lynse_lua_internal
    PUBLIC ${PROJECT_BINARY_DIR}/include/lua-host)
  target_link_libraries(lynse_lua_internal PUBLIC lynse_internal PkgConfig::LUAJIT)
  if(NOT LYNSE_SANITIZE)
    lynse_lua_static_library()
    if(NOT SKBUILD)
      lynse_lua_shared_library()
      if(PROJECT_IS_TOP_LEVEL)
        lynse_lua_install()
      endif()
    endif()
  endif()
endif()
