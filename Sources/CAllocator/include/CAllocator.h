#ifndef CALLOCATOR_H
#define CALLOCATOR_H

#include <stddef.h>

/// Makes a process that runs for long hold little free memory in reserve. To be called before other threads start.
///
/// glibc has a heap of its own for every thread, and raises the sizes from which memory is given back to the system
/// whenever something large is freed; both make resident memory grow for hours. Does nothing with other C libraries.
void allocator_keep_small(void);

/// Gives the pages of freed memory back to the system, those between what is in use too. Does nothing with other C libraries.
void allocator_give_back(void);

/// Bytes that the process has taken from the heap and not given back; 0 where the C library does not say.
size_t allocator_heap_bytes(void);

#endif
