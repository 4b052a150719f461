# tide_layer(<folder> SOURCES <file>... [LIBS <target>...])
#
# One library per folder of src/. What world a folder belongs to and which folders it sees stands in
# src/LAYERS and nowhere else; this file reads it. A runtime folder becomes an OBJECT library
# tide_<folder>, built once and linked into libtide.so and libtide.a alike; a host folder becomes a
# static library. A folder that has headers only needs no SOURCES.

set(TIDE_LAYERS_FILE ${PROJECT_SOURCE_DIR}/src/LAYERS)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${TIDE_LAYERS_FILE})

# Warnings for all our code; gtest's and benchmark's macros do not survive the conversion warnings.
set(TIDE_WARNINGS -Wall -Wextra -Wshadow -Wpointer-arith -Wcast-qual -Wvla)
set(TIDE_STRICT_WARNINGS ${TIDE_WARNINGS} -Wconversion -Wsign-conversion -Wnon-virtual-dtor)

# Runtime code lives in somebody else's process: no exceptions, no RTTI, no static constructors with
# guards, no symbol visible unless asked for, TLS without a call. The unwind tables let an exception
# that a new-handler throws pass through operator new. The compiler must not know malloc when it
# compiles malloc: it would turn a body into a call of itself.
set(TIDE_RUNTIME_FLAGS
    -fno-exceptions -fno-rtti -fno-threadsafe-statics -fasynchronous-unwind-tables
    -fvisibility=hidden -fvisibility-inlines-hidden -ftls-model=initial-exec
    -fno-stack-protector -fno-math-errno -fno-plt -ffunction-sections
    -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free
    -fno-builtin-aligned_alloc -fno-builtin-posix_memalign -fno-builtin-memalign)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|i.86")
  list(APPEND TIDE_RUNTIME_FLAGS -fcf-protection=none)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  # Call stacks are found by the chain of frame pointers, which passes through us.
  list(APPEND TIDE_RUNTIME_FLAGS -fno-omit-frame-pointer -momit-leaf-frame-pointer)
endif()
if(TIDE_SANITIZE MATCHES "undefined")
  list(APPEND TIDE_RUNTIME_FLAGS -fno-sanitize=vptr)
endif()

# Tools and tests keep the names and lines of their functions in stack traces; descriptions of types
# and variables are a third of the time to compile them.
set(TIDE_LINES_ONLY $<$<NOT:$<CONFIG:Debug>>:-g1>)

# Several files at a time: most of what such a file costs is the library's headers. Where the build is
# for people who change a file and try again (TIDE_TOGETHER off), each is compiled alone.
function(tide_compile_together target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${TIDE_TOGETHER} UNITY_BUILD_BATCH_SIZE 8)
endfunction()

# The same in <count> groups, to which the sources are dealt out in turn.
function(tide_deal_out target count)
  get_target_property(sources ${target} SOURCES)
  set(turn 0)
  foreach(source IN LISTS sources)
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${turn})
    math(EXPR turn "(${turn} + 1) % ${count}")
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD_MODE GROUP)
endfunction()

# Sets <world> and <sees> in the caller to what src/LAYERS says about <folder>.
function(tide_read_layer folder world sees)
  file(STRINGS ${TIDE_LAYERS_FILE} rows REGEX "^[0-9]+ +${folder} ")
  list(LENGTH rows count)
  if(NOT count EQUAL 1)
    message(FATAL_ERROR "src/LAYERS has ${count} rows for '${folder}'; it needs exactly one")
  endif()
  separate_arguments(cells UNIX_COMMAND "${rows}")
  list(POP_FRONT cells number name found)
  set(${world} ${found} PARENT_SCOPE)
  set(${sees} ${cells} PARENT_SCOPE)
endfunction()

function(tide_layer folder)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "tide_layer(${folder}): unknown argument ${arg_UNPARSED_ARGUMENTS}")
  endif()
  tide_read_layer(${folder} world sees)
  list(TRANSFORM arg_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/src/${folder}/)
  set(target tide_${folder})

  if(world STREQUAL "host")
    add_library(${target} STATIC ${arg_SOURCES})
    tide_compile_together(${target})
    target_compile_options(${target} PRIVATE ${TIDE_LINES_ONLY})
    foreach(seen IN LISTS sees)
      if(TARGET tide_${seen})
        target_link_libraries(${target} PUBLIC tide_${seen})
      endif()
    endforeach()
    target_link_libraries(${target} PUBLIC ${arg_LIBS})
  elseif(arg_SOURCES)
    add_library(${target} OBJECT ${arg_SOURCES})
    target_compile_options(${target} PRIVATE ${TIDE_RUNTIME_FLAGS})
    set_property(GLOBAL APPEND PROPERTY TIDE_RUNTIME_LAYERS ${target})
  else()
    add_library(${target} INTERFACE)
    return()
  endif()

  target_compile_options(${target} PRIVATE ${TIDE_STRICT_WARNINGS})
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  target_compile_definitions(${target} PUBLIC TIDE_CHECK=${TIDE_CHECK}
                                              TIDE_DETECTION=$<BOOL:${TIDE_DETECTION}>
                                              TIDE_VERSION="${PROJECT_VERSION}")
endfunction()

function(tide_add_subdirectory_if_present folder)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/CMakeLists.txt)
    add_subdirectory(${folder})
  endif()
endfunction()
