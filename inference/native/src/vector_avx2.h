/* Vectors of 8 floats: AVX2 and FMA, and 256-bit VNNI where USE_AVXVNNI says so. */
#include <immintrin.h>

#define LANES 8
#define TILE_ROWS 6
#define TILE_VECTORS 2
#ifdef USE_AVXVNNI
#define INT8_BYTES 1
#define INT8_IS_UNSIGNED 1
#else
/* Levels are held in 16 bits: products of bytes would saturate. */
#define INT8_BYTES 2
#define INT8_IS_UNSIGNED 0
#endif

typedef __m256 vf;
typedef __m256i vi;

INLINE vf vf_set(float x) { return _mm256_set1_ps(x); }
INLINE vf vf_zero(void) { return _mm256_setzero_ps(); }
INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
INLINE void vf_store(float *p, vf x) { _mm256_storeu_ps(p, x); }
INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
INLINE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
INLINE vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
INLINE vf vf_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
INLINE vf vf_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE vf vf_scale2(vf a, vf n) {
    __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(a, _mm256_castsi256_ps(power));
}
INLINE float vf_sum(vf a) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
INLINE float vf_top(vf a) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}
INLINE vf vf_iota(void) { return _mm256_set_ps(7, 6, 5, 4, 3, 2, 1, 0); }
INLINE vf vf_beyond(vf x, vf bound, vf a, vf b) {
    return _mm256_blendv_ps(a, b, _mm256_cmp_ps(vf_abs(x), bound, _CMP_GT_OQ));
}

INLINE vi vi_load(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE vi vi_zero(void) { return _mm256_setzero_si256(); }
INLINE vi vi_set(int32_t x) { return _mm256_set1_epi32(x); }
INLINE vf vi_float(vi a) { return _mm256_cvtepi32_ps(a); }

#ifdef USE_AVXVNNI
/* As in vector_avx512.h; the prefix keeps the assembler from AVX-512's encoding. */
INLINE vi dot_int8(vi sum, vi row, vi weight) {
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(row), "x"(weight));
    return sum;
}
#else
INLINE vi dot_int8(vi sum, vi row, vi weight) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(row, weight));
}
#endif

/* Two bfloat16 share 32 bits, the even one in the lower half. */
INLINE vf dot_bf16(vf sum, vi row, vi weight) {
    const __m256i upper = _mm256_set1_epi32((int)0xffff0000);
    sum = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_slli_epi32(row, 16)),
                          _mm256_castsi256_ps(_mm256_slli_epi32(weight, 16)), sum);
    return _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_and_si256(row, upper)),
                           _mm256_castsi256_ps(_mm256_and_si256(weight, upper)), sum);
}

INLINE __m128i halves(__m256i whole) {
    return _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
}

INLINE void int8_store(char *p, vf levels) {
    __m256i whole = _mm256_cvtps_epi32(levels);
#if INT8_IS_UNSIGNED
    __m128i shorts = halves(_mm256_add_epi32(whole, _mm256_set1_epi32(128)));
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(shorts, shorts));
#else
    _mm_storeu_si128((__m128i *)p, halves(whole));
#endif
}

INLINE void bf16_store(char *p, vf x) {
    __m256i bits = _mm256_castps_si256(x);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i even = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    /* Rounding up would turn some NaNs into infinity. */
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    bits = _mm256_srli_epi32(_mm256_blendv_epi8(even, quiet, is_nan), 16);
    __m128i packed = _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1));
    _mm_storeu_si128((__m128i *)p, packed);
}

/* Transpose 8 rows of 8 floats in registers. */
INLINE void transpose(vf r[8]) {
    __m256 t[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
    for (int i = 0; i < 8; i++) r[i] = t[i];
}
