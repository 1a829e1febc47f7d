#include "COpenMP.h"

#ifdef __linux__
#include <stdlib.h>

// OpenMP reads its environment in a constructor of the usual priority. This one comes before, as far as OpenMP is linked
// statically, which scripts/bootstrap sees to; a shared OpenMP has read it already.
__attribute__((constructor(101))) static void wait_briefly(void) {
    if (!getenv("OMP_WAIT_POLICY")) setenv("GOMP_SPINCOUNT", "1000", 0);
}
#endif
