# Install rules: libraries, headers, the command, its script for GDB, a CMake package and tide.pc.
include(CMakePackageConfigHelpers)

install(TARGETS tide_shared tide_static EXPORT tideTargets)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/tide TYPE INCLUDE)
install(TARGETS tide_trace_shared)
if(TARGET tide_command)
  install(TARGETS tide_command)
  # Where the command looks for it, beside the libraries.
  install(TARGETS tide_player_program DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()

# GDB loads the script with the library: from <data>/gdb/auto-load and the library's full name,
# which is that of the configured prefix. The other one is for `source`.
set(gdb_script ${PROJECT_SOURCE_DIR}/gdb/tide-heap.py)
install(FILES ${gdb_script} DESTINATION ${CMAKE_INSTALL_DATADIR}/tide)
install(FILES ${gdb_script}
        DESTINATION ${CMAKE_INSTALL_DATADIR}/gdb/auto-load${CMAKE_INSTALL_FULL_LIBDIR}
        RENAME libtide.so.${PROJECT_VERSION}-gdb.py)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tide)
install(EXPORT tideTargets NAMESPACE tide:: DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tideConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_SOURCE_DIR}/cmake/tideConfig.cmake
              ${PROJECT_BINARY_DIR}/tideConfigVersion.cmake DESTINATION ${package_dir})

# From the folder of tide.pc back to the prefix: the library folder may be deeper than lib/.
file(RELATIVE_PATH TIDE_PC_PREFIX /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
configure_file(${PROJECT_SOURCE_DIR}/cmake/tide.pc.in ${PROJECT_BINARY_DIR}/tide.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/tide.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# `cpack -G DEB` in the build directory makes one package of all of it.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "Tide developers <tide@localhost>")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION libs)
set(CPACK_STRIP_FILES ON)
include(CPack)
