# Order of functions in libtide.so.
#
# tide_order_functions(TARGET FILE): the functions that FILE names, a line each, come first in the
# code of TARGET, side by side, behind the constants and what the compiler's libraries add; the
# line "unwinder" is the compiler's unwinder, what finds a function's table first. A small program runs an eighth of the library's
# code; scattered over all of it, that makes the whole library resident in every process.
#
# GNU ld takes an order only from a whole linker script: its own, with the names put in. With another
# linker, or a script of another form, the order stays as it is: that costs memory, nothing else.
function(tide_order_functions target file)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  # The options choose the script.
  set(nothing ${CMAKE_CURRENT_BINARY_DIR}/nothing.so)
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -shared -nodefaultlibs -Wl,-z,noseparate-code,-z,now,--verbose
                          -o ${nothing}
                  OUTPUT_VARIABLE script ERROR_QUIET)
  file(REMOVE ${nothing})
  set(code "\n  \\.text +:\n  {\n")
  set(constants "\n  \\.rodata +: { \\*\\(\\.rodata [^}]*}\n")
  set(at_exit "\n  \\.fini +:\n[^}]*}\n")
  if(NOT script MATCHES "\n====+\n(.*)\n====+\n")
    return()
  endif()
  set(script "${CMAKE_MATCH_1}")
  foreach(section IN ITEMS constants at_exit)
    if(NOT script MATCHES "${code}" OR NOT script MATCHES "${${section}}")
      return()
    endif()
    set(${section} "${CMAKE_MATCH_0}")
    string(REPLACE "${${section}}" "\n" script "${script}")
  endforeach()
  file(STRINGS ${file} names REGEX "^[^#]")
  list(TRANSFORM names REPLACE "^literals$" "    *(.rodata.*)")
  list(TRANSFORM names REPLACE "^unwinder$" "    *libgcc_eh.a:unwind-dw2-fde*(.text .text.*)\n    *libgcc_eh.a:(.text .text.*)")
  list(TRANSFORM names REPLACE "^([^ ]+)$" "    *(.text.\\1 .text.unlikely.\\1 .text.exit.\\1 .text.startup.\\1)")
  list(JOIN names "\n" names)
  # Small variables side by side: behind what ends with one, and apart from what is large and mostly never touched.
  string(REPLACE "*(.bss .bss.* " "*(.bss.before)\n   *(.bss .bss._*)\n   *(.bss.engine)\n   *(.bss.* " script "${script}")
  string(REGEX REPLACE "${code}" "${constants}${at_exit}\n  .text :\n  {\n    *crtbegin*(.text)\n    *libgcc.a:(.text)\n    *libc_nonshared.a:(.text .text.*)\n${names}\n" script "${script}")
  # Of constants, literals (sections whose names end with a dot and a digit) are read by fewer processes: they lie where FILE says.
  string(REPLACE "*(.rodata .rodata.* " "*(.rodata .rodata.*[!.]? " script "${script}")
  # The system maps 64 KiB around what is touched: what the unwinder reads is to lie in one such piece.
  string(REPLACE "\n  .eh_frame_hdr " "\n  . = ALIGN(0x10000);\n  .eh_frame_hdr " script "${script}")
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${target}.ld CONTENT "${script}" @ONLY)
  target_link_options(${target} PRIVATE -T ${CMAKE_CURRENT_BINARY_DIR}/${target}.ld)
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${CMAKE_CURRENT_BINARY_DIR}/${target}.ld)
endfunction()
