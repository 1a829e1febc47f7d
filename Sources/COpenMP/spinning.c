#include "COpenMP.h"

#include <stdlib.h>

#ifdef __linux__
// GNU's own, read at each meeting. It can be seen where OpenMP is linked statically, which scripts/bootstrap sees to. Setting
// the environment before OpenMP reads it moves the environment, from whose place Swift's runtime finds the arguments.
extern unsigned long long gomp_spin_count_var __attribute__((weak));

long long openmp_spin(unsigned long long times) {
    if (!&gomp_spin_count_var) return -1;
    if (!getenv("GOMP_SPINCOUNT") && !getenv("OMP_WAIT_POLICY")) gomp_spin_count_var = times;
    return (long long)gomp_spin_count_var;
}
#else
long long openmp_spin(unsigned long long times) {
    (void)times;
    return -1;
}
#endif
