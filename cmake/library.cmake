# SPDX-License-Identifier: Apache-2.0
# lynse_library(objects…): what is shipped, lib/liblynse.so and lib/liblynse.a, both exporting
# lynse_* alone, so that internals may have plain names without colliding in a host.

# Shared: hidden visibility, and a version script for what visibility misses.
function(lynse_shared_library)
  add_library(lynse SHARED ${ARGN})
  set_target_properties(lynse PROPERTIES
    LINKER_LANGUAGE C
    VERSION ${PROJECT_VERSION}
    SOVERSION 0
    LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/exports.map
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
  target_include_directories(lynse PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/core/include>
                                          $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_options(lynse PRIVATE LINKER:--version-script=${CMAKE_SOURCE_DIR}/cmake/exports.map
                                    LINKER:--gc-sections LINKER:-z,relro LINKER:-z,now)
  if(NOT LYNSE_SANITIZE)
    target_link_options(lynse PRIVATE LINKER:--no-undefined)
  endif()
  target_link_libraries(lynse PRIVATE Threads::Threads m ${LYNSE_LIBRARIES})
endfunction()

# Static: all objects joined into one, whose other globals are made local.
function(lynse_static_library)
  set(joined ${CMAKE_BINARY_DIR}/lib/lynse.o)
  set(archive ${CMAKE_BINARY_DIR}/lib/liblynse.a)
  add_custom_command(OUTPUT ${archive} BYPRODUCTS ${joined}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/lib
    COMMAND ${CMAKE_LINKER} -r -o ${joined} ${ARGN}
    COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=lynse_* ${joined}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${archive}
    COMMAND ${CMAKE_AR} rcs ${archive} ${joined}
    DEPENDS ${ARGN}
    COMMENT "Joining ${archive}"
    COMMAND_EXPAND_LISTS VERBATIM)
  add_custom_target(lynse_archive ALL DEPENDS ${archive})
  add_library(lynse_static STATIC IMPORTED GLOBAL)
  add_dependencies(lynse_static lynse_archive)
  set_target_properties(lynse_static PROPERTIES IMPORTED_LOCATION ${archive})
  target_include_directories(lynse_static INTERFACE ${CMAKE_SOURCE_DIR}/core/include)
  target_link_libraries(lynse_static INTERFACE Threads::Threads m ${LYNSE_LIBRARIES})
endfunction()

function(lynse_library)
  lynse_shared_library(${ARGN})
  lynse_static_library(${ARGN})
  file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/core/include/*.h)
  install(TARGETS lynse LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
  install(FILES ${CMAKE_BINARY_DIR}/lib/liblynse.a DESTINATION ${CMAKE_INSTALL_LIBDIR}
          COMPONENT library)
  install(FILES ${headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library)
endfunction()
