// The cases of misuse.c that take another way than a pointer and a call: unusual.c.
#pragma once

// The call that is wrong, chosen on the command line.
extern void (*g_call)(void*);

// The function of the case called `name`, or NULL.
void (*find_unusual_case(const char* name))(void);
