/* Any little-endian processor. */
#include "body.h"
#include "vector_portable.h"
#include "forward.h"

const Isa isa_portable = {"portable", INT8_BYTES, 0, pack, run, product};
