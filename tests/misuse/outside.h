// The cases of misuse.c in which more than the allocator has a part: outside.c.
#pragma once

// The call that is wrong, chosen on the command line.
extern void (*g_call)(void*);
// The misuse that needs nothing: the call with a block that was freed just before.
void at_once(void);

// The function of the case called `name`, or NULL.
void (*find_outside_case(const char* name))(void);
