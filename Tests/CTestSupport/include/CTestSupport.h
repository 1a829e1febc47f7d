#include <stddef.h>

/// Bytes that the process has allocated with malloc and not freed; 0 where the C library does not tell.
size_t test_heap_bytes(void);
