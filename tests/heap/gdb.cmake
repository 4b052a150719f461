# The GDB command `heap`, where GDB is installed; else the test says that it is not.
tide_script_test(heap_gdb
                 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/gdb_test.py
                         --script ${PROJECT_SOURCE_DIR}/gdb/tide-heap.py
                 LABELS heap TIMEOUT 1000)
