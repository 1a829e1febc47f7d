#ifndef COPENMP_H
#define COPENMP_H

// How ggml's threads wait for each other, where they are GNU's OpenMP: briefly, then asleep.
//
// After each operation of a graph all threads meet. GNU's OpenMP lets those that came first spin, by default 300,000 times,
// so a thread that another process has put off its core is waited for by threads that keep the cores busy: a step then takes
// ten to a hundred times as long. A thousand times is as fast on an idle machine (docs/performance.md).
//
// Nothing is to be called: linking is enough. GOMP_SPINCOUNT and OMP_WAIT_POLICY of the environment come first.

#endif
