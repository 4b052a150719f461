# The collector, with a recorder that is played.
tide_preload_program(trace_fake_recorder SOURCES fake_recorder.cc)
target_include_directories(trace_fake_recorder PRIVATE ${PROJECT_SOURCE_DIR}/src)
add_executable(trace_count_events count_events.cc)
target_compile_options(trace_count_events PRIVATE ${TIDE_WARNINGS})
target_link_libraries(trace_count_events PRIVATE tide_trace)
tide_script_test(trace.collect COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/collect_test.py LABELS trace
                 TIMEOUT 1000)
