# find_package(tide) gives tide::tide (shared) and tide::static.
include(${CMAKE_CURRENT_LIST_DIR}/tideTargets.cmake)
