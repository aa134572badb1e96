/* Intel from Ice Lake, AMD from Zen 4: AVX-512 with VNNI, with BF16 used where there is BF16. */
#if defined(__x86_64__)
#include "body.h"
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16")
#endif
#include "vector_avx512.h"
#include "forward.h"

const Isa isa_avx512 = {"avx512", INT8_BYTES, 1, pack, run, product};
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
