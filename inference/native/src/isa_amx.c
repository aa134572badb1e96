/* Intel from Sapphire Rapids: the AVX-512 kernels, with products of int8 on the matrix unit. */
#include "body.h"
#if defined(HAVE_AMX)
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16")
#endif
#define USE_TILES
#include "vector_avx512.h"
#include "forward.h"

const Isa isa_amx = {"amx", INT8_BYTES, 1, pack, run, product};
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
