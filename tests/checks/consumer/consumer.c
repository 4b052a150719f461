/* The smallest user of the installed package: is the malloc of this program Tide's? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tide/tide.h>

int main(void) {
  char* block = malloc(100);
  if (block == NULL) return 1;
  strcpy(block, "served by");
  /* Tide's blocks of this size are 112 bytes; the C library's are 104. */
  puts(tide_malloc_usable_size(block) == 112 ? "served by Tide" : "served by another allocator");
  free(block);
  return 0;
}
