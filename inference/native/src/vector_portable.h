/* Vectors of 4 floats in GCC's and Clang's vector extension: any processor. */
#include <math.h>
#include <string.h>

#define LANES 4
#define TILE_ROWS 4
#define TILE_VECTORS 2
#define INT8_BYTES 2
#define INT8_IS_UNSIGNED 0

typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));

INLINE vf vf_set(float x) { return (vf){x, x, x, x}; }
INLINE vf vf_zero(void) { return vf_set(0); }
INLINE vf vf_load(const float *p) { vf x; memcpy(&x, p, sizeof x); return x; }
INLINE void vf_store(float *p, vf x) { memcpy(p, &x, sizeof x); }
INLINE vf vf_add(vf a, vf b) { return a + b; }
INLINE vf vf_sub(vf a, vf b) { return a - b; }
INLINE vf vf_mul(vf a, vf b) { return a * b; }
INLINE vf vf_div(vf a, vf b) { return a / b; }
INLINE vf vf_fma(vf a, vf b, vf c) { return a * b + c; }
INLINE vf vf_choose(vi mask, vf a, vf b) { return (vf)(((vi)a & ~mask) | ((vi)b & mask)); }
INLINE vf vf_max(vf a, vf b) { return vf_choose((vi)(a > b), b, a); }
INLINE vf vf_min(vf a, vf b) { return vf_choose((vi)(a < b), b, a); }
INLINE vf vf_abs(vf a) { return (vf)((vi)a & 0x7fffffff); }
/* Adding and taking off 1.5 * 2^23 leaves a whole number: right for magnitudes below 2^22. */
INLINE vf vf_round(vf a) {
    return (a + vf_set(12582912.0f)) - vf_set(12582912.0f);
}
INLINE vi vf_whole(vf a) { return (vi)(a + vf_set(12582912.0f)) - 0x4b400000; }
INLINE vf vf_scale2(vf a, vf n) { return a * (vf)((vf_whole(n) + 127) << 23); }
INLINE float vf_sum(vf a) { return (a[0] + a[2]) + (a[1] + a[3]); }
INLINE float vf_top(vf a) {
    float one = a[0] > a[1] ? a[0] : a[1], other = a[2] > a[3] ? a[2] : a[3];
    return one > other ? one : other;
}
INLINE vf vf_iota(void) { return (vf){0, 1, 2, 3}; }
INLINE vf vf_beyond(vf x, vf bound, vf a, vf b) { return vf_choose((vi)(vf_abs(x) > bound), a, b); }

INLINE vi vi_load(const int32_t *p) { vi x; memcpy(&x, p, sizeof x); return x; }
INLINE vi vi_zero(void) { return (vi){0, 0, 0, 0}; }
INLINE vi vi_set(int32_t x) { return (vi){x, x, x, x}; }
INLINE vf vi_float(vi a) { return __builtin_convertvector(a, vf); }
/* Two levels of 16 bits share 32, the even one in the lower half. */
INLINE vi dot_int8(vi sum, vi row, vi weight) {
    return sum + ((row << 16) >> 16) * ((weight << 16) >> 16) + (row >> 16) * (weight >> 16);
}
INLINE vf dot_bf16(vf sum, vi row, vi weight) {
    sum = (vf)(row << 16) * (vf)(weight << 16) + sum;
    return (vf)(row & (int32_t)0xffff0000) * (vf)(weight & (int32_t)0xffff0000) + sum;
}

INLINE void int8_store(char *p, vf levels) {
    vi whole = vf_whole(levels);
    int16_t shorts[4] = {(int16_t)whole[0], (int16_t)whole[1], (int16_t)whole[2], (int16_t)whole[3]};
    memcpy(p, shorts, sizeof shorts);
}

INLINE void bf16_store(char *p, vf x) {
    vi bits = (vi)x, odd = (bits >> 16) & 1;
    vi even = bits + odd + 0x7fff, quiet = bits | 0x400000, is_nan = (vi)(x != x);
    bits = (even & ~is_nan) | (quiet & is_nan);
    for (int i = 0; i < 4; i++) {
        uint16_t upper = (uint16_t)((uint32_t)bits[i] >> 16);
        memcpy(p + 2 * i, &upper, 2);
    }
}

INLINE void transpose(vf r[4]) {
    vf t[4];
    for (int i = 0; i < 4; i++) t[i] = (vf){r[0][i], r[1][i], r[2][i], r[3][i]};
    for (int i = 0; i < 4; i++) r[i] = t[i];
}
