# SPDX-License-Identifier: Apache-2.0
# lynse_layer(NAME layer [layers it may include …]): object library core_<NAME> of core/<NAME>/*.c.
# Includes are written "layer/file.h": build/include/<layer>/<layer> links to core/<layer>, and a
# target gets only the include roots of the layers it names.  With LYNSE_TINY there is a second
# library, core_<NAME>_shipped, with the limits that are shipped.
set_property(GLOBAL PROPERTY LYNSE_LAYERS "")

# Without LYNSE_INDEXES, of two layers these files alone: the kind flat, the quantizers that are not
# trained, and what stands above all kinds.  A new kind is left out by not being here.  Of the
# kernels those that none of these asks for are left out (core/simd/select.c).
set(of_flat_only index/flat*.c index/index_*.c index/quantizer_image.c quant/raw.c
    quant/shadow.c quant/shadowed.c quant/digits.c quant/bit_rows.c quant/narrow_rows.c
    quant/quantizer_registry.c)

function(lynse_include_root layer)
  set(root ${PROJECT_BINARY_DIR}/include/${layer})
  file(MAKE_DIRECTORY ${root})
  if(NOT EXISTS ${root}/${layer})
    file(CREATE_LINK ${PROJECT_SOURCE_DIR}/core/${layer} ${root}/${layer} SYMBOLIC)
  endif()
endfunction()

function(lynse_layer name)
  lynse_include_root(${name})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/core/${name}/*.c)
  if(NOT LYNSE_INDEXES AND name MATCHES "^(index|quant)$")
    list(TRANSFORM of_flat_only PREPEND ${PROJECT_SOURCE_DIR}/core/ OUTPUT_VARIABLE patterns)
    list(FILTER patterns INCLUDE REGEX /core/${name}/)
    file(GLOB sources CONFIGURE_DEPENDS ${patterns})
  endif()
  if(NOT LYNSE_INDEXES AND name STREQUAL simd)
    list(FILTER sources EXCLUDE REGEX "/(quant|nearest)_[a-z0-9]*\\.c$")
  endif()
  if(NOT sources)
    return()
  endif()
  set(targets core_${name})
  add_library(core_${name} OBJECT ${sources})
  if(LYNSE_TINY)
    list(APPEND targets core_${name}_shipped)
    add_library(core_${name}_shipped OBJECT EXCLUDE_FROM_ALL ${sources})
    target_compile_options(core_${name}_shipped PRIVATE -ULYNSE_TINY)
  endif()
  foreach(target ${targets})
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/core/include)
    foreach(layer ${name} ${ARGN})
      lynse_include_root(${layer})
      target_include_directories(${target} PRIVATE ${PROJECT_BINARY_DIR}/include/${layer})
    endforeach()
  endforeach()
  set_property(GLOBAL APPEND PROPERTY LYNSE_LAYERS ${name})
endfunction()
