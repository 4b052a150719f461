# What is in blocks: a program with known classes and containers, as others build theirs.
tide_preload_program(heap_zoo SOURCES contents_zoo.cc)
tide_preload_program(heap_zoo_fixed SOURCES contents_zoo.cc)
target_compile_options(heap_zoo_fixed PRIVATE -fno-pie)
target_link_options(heap_zoo_fixed PRIVATE -no-pie)
tide_preload_program(heap_zoo_without_rtti SOURCES contents_zoo.cc)
target_compile_options(heap_zoo_without_rtti PRIVATE -fno-rtti)
tide_script_test(heap_contents
                 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/contents_test.py $<TARGET_FILE:heap_zoo>
                         $<TARGET_FILE:heap_zoo_without_rtti>
                 LABELS heap TIMEOUT 1000)
tide_script_test(heap_contents.fixed
                 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/contents_test.py $<TARGET_FILE:heap_zoo_fixed>
                 LABELS heap TIMEOUT 1000)
