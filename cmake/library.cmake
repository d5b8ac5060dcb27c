# SPDX-License-Identifier: Apache-2.0
# lynse_library(objects…): what is shipped, lib/liblynse.so and lib/liblynse.a, both exporting
# lynse_* alone, so that internals may have plain names without colliding in a host.
include(CMakePackageConfigHelpers)
set(LYNSE_SOVERSION 0) # raised with lynse_abi_version

# Shared: hidden visibility, and a version script for what visibility misses.
function(lynse_shared_library)
  add_library(lynse SHARED ${ARGN})
  set_target_properties(lynse PROPERTIES
    LINKER_LANGUAGE C
    VERSION ${PROJECT_VERSION}
    SOVERSION ${LYNSE_SOVERSION}
    LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/exports.map
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
  target_include_directories(lynse PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/core/include>
                                          $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_options(lynse PRIVATE LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/exports.map
                                    LINKER:--gc-sections LINKER:-z,relro LINKER:-z,now)
  if(NOT LYNSE_SANITIZE)
    target_link_options(lynse PRIVATE LINKER:--no-undefined)
  endif()
  target_link_libraries(lynse PRIVATE Threads::Threads m ${LYNSE_LIBRARIES})
endfunction()

# lynse_joined_archive(target imported name objects…): lib/lib<name>.a, all objects joined into one,
# whose other globals are made local.  It begins as a library of CMake's own: Makefiles have no rule
# for objects of other targets that a command asks for.
function(lynse_joined_archive target imported name)
  set(joined ${PROJECT_BINARY_DIR}/lib/${name}.o)
  set(archive ${PROJECT_BINARY_DIR}/lib/lib${name}.a)
  add_library(${target} STATIC ${ARGN})
  set_target_properties(${target} PROPERTIES
    LINKER_LANGUAGE C OUTPUT_NAME ${name} ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
  add_custom_command(TARGET ${target} POST_BUILD BYPRODUCTS ${joined}
    COMMAND ${CMAKE_LINKER} -r -o ${joined} ${ARGN}
    COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=lynse_* ${joined}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${archive}
    COMMAND ${CMAKE_AR} rcs ${archive} ${joined}
    COMMENT "Joining ${archive}"
    COMMAND_EXPAND_LISTS VERBATIM)
  add_library(${imported} STATIC IMPORTED GLOBAL)
  add_dependencies(${imported} ${target})
  set_target_properties(${imported} PROPERTIES IMPORTED_LOCATION ${archive})
endfunction()

function(lynse_static_library)
  lynse_joined_archive(lynse_archive lynse_static lynse ${ARGN})
  target_include_directories(lynse_static INTERFACE ${PROJECT_SOURCE_DIR}/core/include)
  target_link_libraries(lynse_static INTERFACE Threads::Threads m ${LYNSE_LIBRARIES})
endfunction()

# What `cmake --install` copies: the two libraries, two headers, a .pc file and a CMake package.
# The last two find the rest from where they stand, so that a prefix can be moved.
function(lynse_install)
  set(libraries ${CMAKE_INSTALL_LIBDIR})
  set(package ${libraries}/cmake/lynse)
  set(made ${PROJECT_BINARY_DIR}/package)
  file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/core/include/*.h)
  lynse_make_pc(lynse ${made}/lynse.pc)
  set(LYNSE_PACKAGE_LIBS "Threads::Threads;m")
  if(LYNSE_ZSTD)
    list(PREPEND LYNSE_PACKAGE_LIBS zstd)
  endif()
  configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/lynse-config.cmake.in
    ${made}/lynse-config.cmake
    INSTALL_DESTINATION ${package}
    PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR
    NO_SET_AND_CHECK_MACRO)
  write_basic_package_version_file(${made}/lynse-config-version.cmake
    COMPATIBILITY SameMinorVersion)
  install(TARGETS lynse LIBRARY DESTINATION ${libraries} COMPONENT library)
  install(FILES ${PROJECT_BINARY_DIR}/lib/liblynse.a DESTINATION ${libraries} COMPONENT library)
  install(FILES ${headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library)
  install(FILES ${made}/lynse.pc DESTINATION ${libraries}/pkgconfig COMPONENT library)
  install(FILES ${made}/lynse-config.cmake ${made}/lynse-config-version.cmake
          DESTINATION ${package} COMPONENT library)
endfunction()

function(lynse_make_pc name file)
  set(LYNSE_PC_LIBS "-lm -pthread")
  if(LYNSE_ZSTD)
    string(PREPEND LYNSE_PC_LIBS "-lzstd ")
  endif()
  # Absolute folders (a distribution's, as a rule) are taken as they are.
  if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
    set(LYNSE_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
  else()
    file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
    string(REGEX REPLACE "/$" "" up ${up})
    set(LYNSE_PC_PREFIX "\${pcfiledir}/${up}")
  endif()
  foreach(folder LIBDIR INCLUDEDIR)
    set(LYNSE_PC_${folder} "\${prefix}/${CMAKE_INSTALL_${folder}}")
    if(IS_ABSOLUTE ${CMAKE_INSTALL_${folder}})
      set(LYNSE_PC_${folder} ${CMAKE_INSTALL_${folder}})
    endif()
  endforeach()
  configure_file(${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in ${file} @ONLY)
endfunction()

function(lynse_library)
  lynse_shared_library(${ARGN})
  lynse_static_library(${ARGN})
  add_library(lynse::lynse ALIAS lynse)
  add_library(lynse::static ALIAS lynse_static)
  if(PROJECT_IS_TOP_LEVEL)
    lynse_install()
  endif()
endfunction()
