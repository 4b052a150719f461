# Programs that run already when they are recorded.
tide_preload_program(trace_attached SOURCES attached.cc)
tide_preload_program(trace_attached_static SOURCES attached.cc LIBS tide::static)
tide_script_test(trace.attach COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/attach_test.py LABELS trace
                 TIMEOUT 1000)
