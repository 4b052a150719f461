# Helpers for tests/ and bench/.
#
# tide_test(<name> SOURCES <file>... [LIBS <target>...] [LABELS <label>...] [ARGS <arg>...]
#           [TIMEOUT <seconds>] [PLAIN])
#   A googletest program that is one ctest entry of the same name. It links tide_core (the runtime
#   without exported symbols), so the program itself stays on the system's malloc. PLAIN: a program
#   with a main of its own and no googletest.
# tide_preload_program(<name> SOURCES <file>... [LIBS <target>...])
#   A program that knows nothing of Tide, to be run with and without the preload; not a test itself.
# tide_script_test(<name> COMMAND <command>... [LABELS <label>...] [TIMEOUT <seconds>] [SERIAL])
#   A ctest entry that runs a command. It finds TIDE_BUILD (build directory), TIDE_LIB (libtide.so)
#   and TIDE_BIN (the tide command) in its environment; in a build for another machine also
#   TIDE_EMULATOR, to which a command that is one of our programs is given.
#
# Every test has a label: unit, model, stress, api, cli, conformance, misuse, profile, stat, checks,
# programs-dev, programs, programs-long, soak, bench. `make test` leaves the last four out.

find_package(GTest REQUIRED)

set(TIDE_TEST_ENVIRONMENT
    TIDE_BUILD=${PROJECT_BINARY_DIR} TIDE_LIB=${PROJECT_BINARY_DIR}/lib/libtide.so
    TIDE_BIN=${PROJECT_BINARY_DIR}/bin/tide TIDE_SOURCE=${PROJECT_SOURCE_DIR})
# Programs that are built for another machine run under an emulator, which tests may need to know.
string(JOIN " " TIDE_EMULATOR ${CMAKE_CROSSCOMPILING_EMULATOR})
if(TIDE_EMULATOR)
  # Tests of deaths start themselves, which an emulated program can't.
  list(APPEND TIDE_TEST_ENVIRONMENT "TIDE_EMULATOR=${TIDE_EMULATOR}" "GTEST_FILTER=-*DeathTest*")
endif()

function(tide_set_test_properties name labels timeout)
  if(NOT labels)
    get_filename_component(labels ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  endif()
  if(NOT timeout)
    set(timeout 1000)  # ends what hangs; a machine that does much else takes ten times as long
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT ${timeout}
                       ENVIRONMENT "${TIDE_TEST_ENVIRONMENT}" SKIP_RETURN_CODE 77)
endfunction()

function(tide_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "PLAIN" "TIMEOUT" "SOURCES;LIBS;LABELS;ARGS")
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include
                                             ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE TIDE_CHECK=${TIDE_CHECK})
  # EXPECT_* under an if without braces is fine.
  target_compile_options(${name} PRIVATE ${TIDE_WARNINGS} -Wno-dangling-else ${TIDE_LINES_ONLY})
  tide_compile_together(${name})
  target_link_libraries(${name} PRIVATE tide_core Threads::Threads ${arg_LIBS})
  if(NOT arg_PLAIN)
    target_link_libraries(${name} PRIVATE GTest::gmock_main)
  endif()
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGS})
  tide_set_test_properties(${name} "${arg_LABELS}" "${arg_TIMEOUT}")
endfunction()

function(tide_preload_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR})
  # The compiler may drop or fold calls of functions that it knows as malloc and free.
  target_compile_options(${name} PRIVATE ${TIDE_WARNINGS} -fno-builtin)
  target_link_libraries(${name} PRIVATE Threads::Threads ${arg_LIBS})
endfunction()

function(tide_script_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "TIMEOUT" "COMMAND;LABELS")
  add_test(NAME ${name} COMMAND ${arg_COMMAND} WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
  tide_set_test_properties(${name} "${arg_LABELS}" "${arg_TIMEOUT}")
  if(arg_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()

# tide_table_tests(<label> TIMEOUT <seconds>): one ctest entry <label>.<case> for each case that the
# folder's run.py lists.
function(tide_table_tests label)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "")
  set(driver ${CMAKE_CURRENT_SOURCE_DIR}/run.py)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${driver})
  execute_process(COMMAND /usr/bin/python3 ${driver} --list OUTPUT_VARIABLE cases
                  OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE "\n" ";" cases "${cases}")
  foreach(case IN LISTS cases)
    tide_script_test(${label}.${case} COMMAND ${driver} ${case} LABELS ${label}
                     TIMEOUT ${arg_TIMEOUT})
  endforeach()
endfunction()
