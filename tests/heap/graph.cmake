# Leaks, retained sizes, ways and references, of a program that knows its graphs.
tide_preload_program(heap_graph_holder SOURCES graph_holder.c)
tide_script_test(heap_graph COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/graph_test.py LABELS heap)
tide_script_test(heap_graph.hardened
                 COMMAND env TIDE_OPTIONS=harden=2 ${CMAKE_CURRENT_SOURCE_DIR}/graph_test.py
                 LABELS heap)
