#ifndef COPENMP_H
#define COPENMP_H

// How ggml's threads wait for each other, where they are GNU's OpenMP: briefly, then asleep.
//
// After each operation of a graph all threads meet. GNU's OpenMP lets those that came first spin, by default 300,000 times,
// so a thread that another process has put off its core is waited for by threads that keep the cores busy: a step then takes
// ten to a hundred times as long. A thousand times is as fast on an idle machine (docs/performance.md).

// Lets threads look so many times before they sleep, unless the environment says how they wait (GOMP_SPINCOUNT,
// OMP_WAIT_POLICY). Returns how many times they look then, or -1 where OpenMP is shared or not GNU's: nothing is changed there.
long long openmp_spin(unsigned long long times);

#endif
