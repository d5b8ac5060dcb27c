# SPDX-License-Identifier: Apache-2.0
# Compiler flags of every target.  Never -march=native: kernels are chosen at run time.
add_compile_definitions(_GNU_SOURCE)
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
                    -Wmissing-prototypes -Wvla -fno-strict-aliasing -fno-plt)
# A host that links liblynse.a drops what it does not call.
add_compile_options(-ffunction-sections -fdata-sections)
set(CMAKE_C_FLAGS_RELEASE "-O3 -g1")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")
if(CMAKE_C_COMPILER_ID MATCHES "Clang")
  # gcc keeps this one apart from -Wconversion.
  add_compile_options(-Wno-sign-conversion)
endif()
if(LYNSE_WERROR)
  add_compile_options(-Werror)
endif()
if(LYNSE_TINY)
  add_compile_definitions(LYNSE_TINY)
endif()
if(LYNSE_FAULTS)
  add_compile_definitions(LYNSE_FAULTS)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_definitions(LYNSE_DEBUG)
endif()
if(LYNSE_SANITIZE)
  add_compile_options(-fsanitize=${LYNSE_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${LYNSE_SANITIZE})
endif()
