# SPDX-License-Identifier: Apache-2.0
# lynse_layer(NAME layer [layers it may include …]): object library core_<NAME> of core/<NAME>/*.c.
# Includes are written "layer/file.h": build/include/<layer>/<layer> links to core/<layer>, and a
# target gets only the include roots of the layers it names.  With LYNSE_TINY there is a second
# library, core_<NAME>_shipped, with the limits that are shipped.
set_property(GLOBAL PROPERTY LYNSE_LAYERS "")

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
