#include "CTestSupport.h"

// Says which C library it is.
#include <stdlib.h>

#if defined(__GLIBC__)
#include <malloc.h>

size_t test_heap_bytes(void) { return mallinfo2().uordblks + mallinfo2().hblkhd; }
#else
size_t test_heap_bytes(void) { return 0; }
#endif
