/* What is done to one row of floats: exponential, GELU, normalisation, rounding to a format. */

/* e to the x, to about 2 units in the last place; x is held between -87 and 88. */
INLINE vf vf_exp(vf x) {
    x = vf_max(vf_min(x, vf_set(88.0f)), vf_set(-87.0f));
    vf n = vf_round(vf_mul(x, vf_set(1.44269504f)));
    vf r = vf_fma(n, vf_set(-0.693359375f), x);
    r = vf_fma(n, vf_set(2.12194440e-4f), r);
    /* Taylor's series to the sixth power: |r| <= ln(2) / 2. */
    vf p = vf_fma(r, vf_set(1.0f / 720), vf_set(1.0f / 120));
    p = vf_fma(p, r, vf_set(1.0f / 24));
    p = vf_fma(p, r, vf_set(1.0f / 6));
    p = vf_fma(p, r, vf_set(0.5f));
    p = vf_fma(p, r, vf_set(1.0f));
    p = vf_fma(p, r, vf_set(1.0f));
    return vf_scale2(p, n);
}

/* x * Phi(x). Phi(x) - 1/2 is x times a ratio of polynomials in x^2, fitted by weighted least
 * squares for |x| <= 5.4 and held beyond; the result is off by less than 1e-6. */
INLINE vf vf_gelu(vf x) {
    vf c = vf_max(vf_min(x, vf_set(5.4f)), vf_set(-5.4f));
    vf u = vf_mul(c, c);
    vf p = vf_fma(u, vf_set(2.278400046407114e-08f), vf_set(6.484711775556207e-06f));
    vf q = vf_fma(u, vf_set(1.20843162676465e-06f), vf_set(7.637704402441159e-05f));
    p = vf_fma(p, u, vf_set(0.0001759103761287406f));
    q = vf_fma(q, u, vf_set(0.0019235649378970265f));
    p = vf_fma(p, u, vf_set(0.004720326513051987f));
    q = vf_fma(q, u, vf_set(0.029009349644184113f));
    p = vf_fma(p, u, vf_set(0.03446038067340851f));
    q = vf_fma(q, u, vf_set(0.2530437707901001f));
    p = vf_fma(p, u, vf_set(0.39894208312034607f));
    q = vf_fma(q, u, vf_set(1.0f));
    return vf_mul(x, vf_fma(c, vf_div(p, q), vf_set(0.5f)));
}

INLINE float row_sum(const float *x, int width) {
    vf sums[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
    int i = 0;
    for (; i + 4 * LANES <= width; i += 4 * LANES)
        for (int k = 0; k < 4; k++) sums[k] = vf_add(sums[k], vf_load(x + i + k * LANES));
    for (; i < width; i += LANES) sums[0] = vf_add(sums[0], vf_load(x + i));
    return vf_sum(vf_add(vf_add(sums[0], sums[1]), vf_add(sums[2], sums[3])));
}

INLINE float row_deviation(const float *x, int width, vf mean) {
    vf sums[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
    int i = 0;
    for (; i + 4 * LANES <= width; i += 4 * LANES)
        for (int k = 0; k < 4; k++) {
            vf d = vf_sub(vf_load(x + i + k * LANES), mean);
            sums[k] = vf_fma(d, d, sums[k]);
        }
    for (; i < width; i += LANES) {
        vf d = vf_sub(vf_load(x + i), mean);
        sums[0] = vf_fma(d, d, sums[0]);
    }
    return vf_sum(vf_add(vf_add(sums[0], sums[1]), vf_add(sums[2], sums[3])));
}

/* Layer normalisation in place. */
static void normalise(float *x, int width, const float *gain, const float *shift, float epsilon) {
    vf mean = vf_set(row_sum(x, width) / (float)width);
    float variance = row_deviation(x, width, mean) / (float)width;
    vf inverse = vf_set(1.0f / sqrtf(variance + epsilon));
    for (int i = 0; i < width; i += LANES) {
        vf centred = vf_mul(vf_sub(vf_load(x + i), mean), inverse);
        vf_store(x + i, vf_fma(centred, vf_load(gain + i), vf_load(shift + i)));
    }
}

INLINE size_t value_bytes(int format) {
    return format == FORMAT_INT8 ? INT8_BYTES : format == FORMAT_BF16 ? 2 : 4;
}

/* Levels are -127 to 127, scaled by the row's largest magnitude; returns what they stand for. */
INLINE float int8_levels(const float *x, char *out, int width, vf top) {
    float most = vf_top(top);
    if (!(most > 1e-30f)) most = 1e-30f;
    vf factor = vf_set(127.0f / most);
    for (int i = 0; i < width; i += LANES)
        int8_store(out + (size_t)i * INT8_BYTES, vf_round(vf_mul(vf_load(x + i), factor)));
    return most / 127.0f;
}

/* Round a row to a format; returns what its values are to be multiplied by. */
static float encode(int format, const float *x, char *out, int width) {
    if (format == FORMAT_INT8) {
        vf tops[2] = {vf_zero(), vf_zero()};
        int i = 0;
        for (; i + 2 * LANES <= width; i += 2 * LANES)
            for (int k = 0; k < 2; k++)
                tops[k] = vf_max(tops[k], vf_abs(vf_load(x + i + k * LANES)));
        for (; i < width; i += LANES) tops[0] = vf_max(tops[0], vf_abs(vf_load(x + i)));
        return int8_levels(x, out, width, vf_max(tops[0], tops[1]));
    }
    if (format == FORMAT_BF16)
        for (int i = 0; i < width; i += LANES) bf16_store(out + 2 * i, vf_load(x + i));
    else
        memcpy(out, x, (size_t)width * 4);
    return 1.0f;
}

/* GELU, then `encode`; x is overwritten. */
static float gelu_encode(int format, float *x, char *out, int width) {
    vf top = vf_zero();
    for (int i = 0; i < width; i += LANES) {
        vf y = vf_gelu(vf_load(x + i));
        vf_store(x + i, y);
        top = vf_max(top, vf_abs(y));
    }
    return format == FORMAT_INT8 ? int8_levels(x, out, width, top) : encode(format, x, out, width);
}
