# SPDX-License-Identifier: Apache-2.0
# What a build of the Python package needs, asked for before anything else, so that what is missing
# is named with the package that brings it.
set(apt "sudo apt-get install")

find_package(Python 3.9 COMPONENTS Interpreter Development.Module)
if(NOT Python_Development.Module_FOUND)
  message(FATAL_ERROR "Python.h is missing: ${apt} python3-dev")
endif()
execute_process(COMMAND ${Python_EXECUTABLE} -c "import cffi, setuptools"
                RESULT_VARIABLE cffi_missing OUTPUT_QUIET ERROR_QUIET)
if(cffi_missing)
  message(FATAL_ERROR "The Python packages cffi and setuptools are missing where the package is "
                      "built: ${Python_EXECUTABLE} -m pip install cffi setuptools")
endif()

find_path(XXHASH_INCLUDE xxhash.h)
if(NOT XXHASH_INCLUDE)
  message(FATAL_ERROR "xxhash.h is missing: ${apt} libxxhash-dev")
endif()
if(LYNSE_ZSTD)
  find_path(ZSTD_INCLUDE zstd.h)
  find_library(ZSTD_LIBRARY zstd)
  if(NOT ZSTD_INCLUDE OR NOT ZSTD_LIBRARY)
    message(FATAL_ERROR "zstd.h or libzstd.so is missing: ${apt} libzstd-dev")
  endif()
endif()
