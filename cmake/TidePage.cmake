# The files of src/report/page and the library that draws, put into the command.
#
# The library comes from npm, pinned by packaging/npm. Without it everything but `tide report`
# works, and that says what to do.

set(TIDE_PAGE_FOLDER ${PROJECT_SOURCE_DIR}/src/report/page)
set(TIDE_PLOT_LIBRARY ${PROJECT_BINARY_DIR}/page/echarts.min.js)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
             ${PROJECT_SOURCE_DIR}/packaging/npm/package-lock.json)
execute_process(COMMAND ${PROJECT_SOURCE_DIR}/tools/fetch_page_library ${TIDE_PLOT_LIBRARY}
                RESULT_VARIABLE status ERROR_VARIABLE error ERROR_STRIP_TRAILING_WHITESPACE)
if(NOT status EQUAL 0)
  message(WARNING "tide report will draw nothing: ${error}")
endif()

function(tide_add_page target)
  file(GLOB files CONFIGURE_DEPENDS ${TIDE_PAGE_FOLDER}/*)
  set(definitions TIDE_PAGE_FOLDER="${TIDE_PAGE_FOLDER}")
  if(EXISTS ${TIDE_PLOT_LIBRARY})
    list(APPEND files ${TIDE_PLOT_LIBRARY})
    list(APPEND definitions TIDE_PLOT_LIBRARY="${TIDE_PLOT_LIBRARY}")
  endif()
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/report/assets.cc
                              TARGET_DIRECTORY ${target}
                              PROPERTIES OBJECT_DEPENDS "${files}" COMPILE_DEFINITIONS "${definitions}")
endfunction()
