/* A C program that meets operator new only later: calls it with no C++ runtime loaded ("none"), or
   loads a C++ module with RTLD_LOCAL and lets that try all of it (path of the module). */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void* (*OperatorNew)(size_t);
typedef int (*RunModule)(void);

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  if (strcmp(argv[1], "none") == 0) {
    OperatorNew new_block = NULL;
    *(void**)&new_block = dlsym(RTLD_DEFAULT, "_Znwm");
    if (new_block == NULL) return 3;
    free(new_block(100));
    new_block((size_t)-1);
    return 4;
  }
  void* const module = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  RunModule run = NULL;
  if (module == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 5;
  }
  *(void**)&run = dlsym(module, "run_module");
  return run == NULL ? 6 : run();
}
