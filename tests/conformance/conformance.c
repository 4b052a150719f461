#include "tests/conformance/conformance.h"

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

static const char* g_case = "?";

void conformance_stop(int status, const char* file, int line, const char* format, ...) {
  char text[512];
  const char* name = strrchr(file, '/');
  int used =
      snprintf(text, sizeof(text), "%s:%d: %s: ", name != NULL ? name + 1 : file, line, g_case);
  va_list arguments;
  va_start(arguments, format);
  const int added = vsnprintf(text + used, sizeof(text) - 1 - (size_t)used, format, arguments);
  va_end(arguments);
  used += added;
  if ((size_t)used > sizeof(text) - 2) used = sizeof(text) - 2;
  text[used++] = '\n';
  ssize_t ignored = write(STDERR_FILENO, text, (size_t)used);
  (void)ignored;
  _exit(status);
}

int conformance_main(const struct Case* cases, size_t count, int argc, char** argv) {
  for (size_t i = 0; argc >= 2 && i < count; ++i) {
    if (strcmp(cases[i].name, argv[1]) != 0) continue;
    g_case = cases[i].name;
    cases[i].run();
    return 0;
  }
  fprintf(stderr, "usage: %s CASE, where CASE is one of:", argv[0]);
  for (size_t i = 0; i < count; ++i) fprintf(stderr, " %s", cases[i].name);
  fprintf(stderr, "\n");
  return 2;
}

static unsigned char pattern_byte(size_t i, uint32_t seed) {
  return (unsigned char)((i * 167 + (i >> 8) * 31 + seed * 97) ^ (seed >> 3));
}

void fill(void* p, size_t bytes, uint32_t seed) {
  unsigned char* at = p;
  for (size_t i = 0; i < bytes; ++i) at[i] = pattern_byte(i, seed);
}

int is_filled(const void* p, size_t bytes, uint32_t seed) {
  const unsigned char* at = p;
  for (size_t i = 0; i < bytes; ++i) {
    if (at[i] != pattern_byte(i, seed)) return 0;
  }
  return 1;
}

int is_zero(const void* p, size_t bytes) {
  const unsigned char* at = p;
  for (size_t i = 0; i < bytes; ++i) {
    if (at[i] != 0) return 0;
  }
  return 1;
}

// Calls `visit` for every line of a file of /proc; the buffer is static, so not for threads.
static void for_each_line(const char* path, void (*visit)(const char* line, void* argument),
                          void* argument) {
  static char buffer[1 << 16];
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) SKIP("cannot read %s", path);
  size_t held = 0;
  for (;;) {
    const ssize_t got = read(file, buffer + held, sizeof(buffer) - 1 - held);
    if (got <= 0) break;
    held += (size_t)got;
    buffer[held] = '\0';
    char* start = buffer;
    for (char* end; (end = strchr(start, '\n')) != NULL; start = end + 1) {
      *end = '\0';
      visit(start, argument);
    }
    held -= (size_t)(start - buffer);
    memmove(buffer, start, held);
  }
  close(file);
}

static void find_rss(const char* line, void* argument) {
  if (strncmp(line, "Rss:", 4) == 0) *(size_t*)argument = strtoul(line + 4, NULL, 10);
}

size_t resident_kib(void) {
  size_t kib = 0;
  for_each_line("/proc/self/smaps_rollup", find_rss, &kib);
  return kib;
}

static void find_vm_size(const char* line, void* argument) {
  if (strncmp(line, "VmSize:", 7) == 0) *(size_t*)argument = strtoul(line + 7, NULL, 10) * 1024;
}

size_t address_space_bytes(void) {
  size_t bytes = 0;
  for_each_line("/proc/self/status", find_vm_size, &bytes);
  return bytes;
}

static void count_line(const char* line, void* argument) {
  (void)line;
  ++*(size_t*)argument;
}

size_t mapping_count(void) {
  size_t count = 0;
  for_each_line("/proc/self/maps", count_line, &count);
  return count;
}

struct Search {
  const char* text;
  int found;
};

static void search_line(const char* line, void* argument) {
  struct Search* search = argument;
  if (strstr(line, search->text) != NULL) search->found = 1;
}

int maps_mention(const char* text) {
  struct Search search = {text, 0};
  for_each_line("/proc/self/maps", search_line, &search);
  return search.found;
}

double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
