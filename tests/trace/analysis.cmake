# tide info and tide convert on traces that a program here writes, which knows what is in them.
add_executable(write_trace write_trace.cc)
target_compile_options(write_trace PRIVATE ${TIDE_WARNINGS})
target_include_directories(write_trace PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(write_trace PRIVATE tide_trace)

tide_preload_program(trace_exact SOURCES exact.c)
tide_script_test(trace.exact COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/exact_test.py LABELS trace TIMEOUT 1000)
tide_script_test(trace_info COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/info_test.py)
tide_script_test(trace_convert COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/convert_test.py)
tide_script_test(trace_whole COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/whole_test.py)
