/* Processors with 256-bit VNNI but without AVX-512: Intel from Alder Lake. */
#include "body.h"
#if defined(HAVE_AVXVNNI)
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,avxvnni"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,avxvnni")
#endif
#define USE_AVXVNNI
#include "vector_avx2.h"
#include "forward.h"

const Isa isa_avxvnni = {"avxvnni", INT8_BYTES, 0, pack, run, product};
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
