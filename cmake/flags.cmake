# SPDX-License-Identifier: Apache-2.0
# Compiler flags of every target.  Never -march=native: kernels are chosen at run time.
add_compile_definitions(_GNU_SOURCE)
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
                    -Wmissing-prototypes -Wvla -fno-strict-aliasing -fno-plt)
# A host that links liblynse.a drops what it does not call.
add_compile_options(-ffunction-sections -fdata-sections)
# A library is the same wherever it is built: no text of it names the folder of its sources.
add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=
                    -ffile-prefix-map=${PROJECT_BINARY_DIR}/=)
set(CMAKE_C_FLAGS_RELEASE "-O3 -g1")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g1") # lines, for reports; all of -g compiles a quarter longer
if(CMAKE_C_COMPILER_ID MATCHES "Clang")
  # gcc keeps these apart from -Wconversion.
  add_compile_options(-Wno-sign-conversion -Wno-string-conversion)
endif()
if(LYNSE_WERROR)
  add_compile_options(-Werror)
endif()
if(NOT LYNSE_INDEXES)
  # Every byte counts there.  One query is as fast, for memory bounds it; a batch takes a fifth
  # longer.
  set(CMAKE_C_FLAGS_RELEASE "-Os -g1 -fno-asynchronous-unwind-tables")
  add_compile_definitions(LYNSE_FLAT_ONLY)
endif()
if(LYNSE_TINY)
  add_compile_definitions(LYNSE_TINY)
endif()
if(LYNSE_FAULTS)
  add_compile_definitions(LYNSE_FAULTS)
endif()
if(LYNSE_PLANTED)
  if(NOT LYNSE_SANITIZE) # which builds no library (core/CMakeLists.txt)
    message(FATAL_ERROR "LYNSE_PLANTED is for fuzz targets: it needs LYNSE_SANITIZE")
  endif()
  message(WARNING "LYNSE_PLANTED: this build has memory errors in it, on purpose")
  add_compile_definitions(LYNSE_PLANTED)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_definitions(LYNSE_DEBUG)
endif()
if(LYNSE_SANITIZE)
  add_compile_options(-fsanitize=${LYNSE_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${LYNSE_SANITIZE})
endif()
