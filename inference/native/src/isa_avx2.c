/* Processors from about 2015: AVX2 with FMA. */
#if defined(__x86_64__)
#include "body.h"
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#include "vector_avx2.h"
#include "forward.h"

const Isa isa_avx2 = {"avx2", INT8_BYTES, 0, pack, run, product};
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
