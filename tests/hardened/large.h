// The cases of hardened.c that are about spans and mappings: large.c.
#pragma once

#include <stddef.h>

// The size, chosen on the command line, and a block of it that is written to.
extern size_t g_size;
unsigned char* block(void);

// The function of the case called `name`, or NULL.
void (*find_large_case(const char* name))(void);
