# SPDX-License-Identifier: Apache-2.0
# Programs around the library.  A test is registered by one call and from then on belongs to
# `./dev test` (which reads tests/manifest.txt of the build) and to ctest.
#
#   lynse_test(NAME unit/store/test_wal SOURCES test_wal.c [ARGS …] [LABELS …] [SLOW]
#              [SHIPPED_LIMITS] [LUA] [SERVER] [SERVER_VALUES])
#     NAME     folder and program under <build>/tests/
#     LABELS   the suites that build and run it, of: release tiny faults core-only asan tsan neon
#              fuzz.  Without, it is of the C suite: all but neon and fuzz run it, and each runs as
#              many cases of it as the others
#     SLOW     run by `./dev test --all` only; only with LABELS
#     SHIPPED_LIMITS  built with these even where LYNSE_TINY is on
#     LUA      links liblynse-lua's objects; is left out where there is no LuaJIT
#     SERVER   links the server's parsers
#     SERVER_VALUES  links what the server has between msgpack and Lua; is left out where it is
#   lynse_fuzz(NAME x [LUA] [SERVER])  fuzz_x.c: a libFuzzer target under clang, elsewhere a test
#                             that replays tests/corpus/x
#   lynse_bench(NAME bench_x SOURCES … [LUA])
#   lynse_example(NAME x SOURCES …)   linked with liblynse.a and lynse.h, as a user would

set(LYNSE_SUITES release tiny faults core-only asan tsan)
set_property(GLOBAL PROPERTY LYNSE_MANIFEST "")

function(lynse_test)
  cmake_parse_arguments(TEST "SLOW;SHIPPED_LIMITS;LUA;SERVER;SERVER_VALUES" "NAME"
                        "SOURCES;ARGS;LABELS" ${ARGN})
  if(TEST_LUA AND NOT LYNSE_HAS_LUA)
    return()
  endif()
  if(TEST_SERVER_VALUES AND NOT TARGET lynse_server_values)
    return()
  endif()
  set(kind apart)
  if(NOT TEST_LABELS)
    set(kind c-suite)
    set(TEST_LABELS ${LYNSE_SUITES})
    if(TEST_SLOW)
      message(FATAL_ERROR "${TEST_NAME}: what is SLOW is not of the C suite and needs LABELS")
    endif()
  endif()
  if(LYNSE_SUITE AND NOT LYNSE_SUITE IN_LIST TEST_LABELS)
    return()
  endif()
  string(REPLACE "/" "_" target ${TEST_NAME})
  cmake_path(GET TEST_NAME PARENT_PATH folder)
  cmake_path(GET TEST_NAME FILENAME program)
  add_executable(${target} ${TEST_SOURCES})
  if(LYNSE_TINY AND TEST_SHIPPED_LIMITS)
    target_link_libraries(${target} PRIVATE test_support_shipped)
  else()
    target_link_libraries(${target} PRIVATE test_support)
  endif()
  if(TEST_LUA)
    target_link_libraries(${target} PRIVATE lynse_lua_internal)
  endif()
  if(TEST_SERVER)
    target_link_libraries(${target} PRIVATE lynse_server_parsers)
  endif()
  if(TEST_SERVER_VALUES)
    target_link_libraries(${target} PRIVATE lynse_server_values lynse_lua_internal
                                            lynse_server_parsers lynse_module_objects)
  endif()
  set_target_properties(${target} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/${folder} OUTPUT_NAME ${program})
  add_test(NAME ${TEST_NAME} COMMAND ${target} ${TEST_ARGS})
  set_tests_properties(${TEST_NAME} PROPERTIES TIMEOUT 300 LABELS "${TEST_LABELS}")
  set(pace quick)
  if(TEST_SLOW)
    set(pace slow)
  endif()
  list(JOIN TEST_ARGS "\t" arguments)
  string(JOIN "\t" line ${TEST_NAME} ${target} ${pace} ${kind} ${arguments})
  set_property(GLOBAL APPEND PROPERTY LYNSE_MANIFEST "${line}")
endfunction()

# At the end of tests/CMakeLists.txt: one line per test,
# "name TAB target TAB quick|slow TAB c-suite|apart [TAB argument]…".
function(lynse_write_manifest)
  get_property(lines GLOBAL PROPERTY LYNSE_MANIFEST)
  list(JOIN lines "\n" text)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/tests/manifest.txt CONTENT "${text}\n" @ONLY)
endfunction()

function(lynse_fuzz)
  cmake_parse_arguments(FUZZ "LUA;SERVER" "NAME" "SOURCES" ${ARGN})
  if(FUZZ_LUA AND NOT LYNSE_HAS_LUA)
    return()
  endif()
  if(LYNSE_SUITE STREQUAL "fuzz")
    add_executable(fuzz_${FUZZ_NAME} fuzz_${FUZZ_NAME}.c initialize.c ${FUZZ_SOURCES})
    target_link_libraries(fuzz_${FUZZ_NAME} PRIVATE lynse_internal)
    if(FUZZ_LUA)
      target_link_libraries(fuzz_${FUZZ_NAME} PRIVATE lynse_lua_internal)
    endif()
    if(FUZZ_SERVER)
      target_link_libraries(fuzz_${FUZZ_NAME} PRIVATE lynse_server_parsers)
    endif()
    target_include_directories(fuzz_${FUZZ_NAME} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    target_link_options(fuzz_${FUZZ_NAME} PRIVATE -fsanitize=fuzzer)
    set_target_properties(fuzz_${FUZZ_NAME} PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/fuzz)
  else()
    set(only "")
    if(FUZZ_LUA) # not of the C suite: core-only has no LuaJIT
      set(only LUA LABELS release tiny faults asan tsan)
    endif()
    if(FUZZ_SERVER)
      list(APPEND only SERVER)
    endif()
    lynse_test(NAME fuzz/fuzz_${FUZZ_NAME}_replay ${only}
               SOURCES fuzz_${FUZZ_NAME}.c ${FUZZ_SOURCES} replay_main.c
               ARGS ${PROJECT_SOURCE_DIR}/tests/corpus/${FUZZ_NAME})
  endif()
endfunction()

function(lynse_bench)
  cmake_parse_arguments(BENCH "LUA" "NAME" "SOURCES" ${ARGN})
  if(BENCH_LUA AND NOT LYNSE_HAS_LUA)
    return()
  endif()
  add_executable(${BENCH_NAME} ${BENCH_SOURCES})
  target_link_libraries(${BENCH_NAME} PRIVATE lynse_internal)
  if(BENCH_LUA)
    target_link_libraries(${BENCH_NAME} PRIVATE lynse_lua_internal)
  endif()
  set_target_properties(${BENCH_NAME} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
endfunction()

function(lynse_example)
  cmake_parse_arguments(EXAMPLE "" "NAME" "SOURCES" ${ARGN})
  add_executable(example_${EXAMPLE_NAME} ${EXAMPLE_SOURCES})
  target_link_libraries(example_${EXAMPLE_NAME} PRIVATE lynse_static)
  set_target_properties(example_${EXAMPLE_NAME} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/examples OUTPUT_NAME ${EXAMPLE_NAME})
endfunction()
