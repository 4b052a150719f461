// The C library's own dlopen, for our override of it.
#pragma once

namespace tide::sys {

using DlopenFunction = void*(const char* file, int mode);

DlopenFunction* next_dlopen();

}  // namespace tide::sys
