/* What every instruction set's file begins with. */
#define _POSIX_C_SOURCE 200112L
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "encoder.h"

#define INLINE static inline __attribute__((always_inline))
