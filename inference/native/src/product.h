/* One product of rows with a matrix, for one number format; included once per format.
 *
 * The innermost step takes 32 bits of a row (4, 2 or 1 inputs) and the same inputs of a vector of
 * outputs. A tile of TILE_ROWS by TILE_VECTORS sums stays in registers over all inputs; a panel of
 * TILE_VECTORS vectors of outputs stays in the first-level cache over all rows. Each sum has one
 * accumulator and takes its inputs in order, however many rows there are.
 */

#if PRODUCT_FORMAT == FORMAT_INT8
#define NAMED(name) name##_int8
#define SUM vi
#define SUM_START(m, at) vi_load((m)->start + (at))
#define SUM_STEP(sum, row, weight) dot_int8(sum, row, weight)
#define SUM_FLOAT(sum) vi_float(sum)
#elif PRODUCT_FORMAT == FORMAT_BF16
#define NAMED(name) name##_bf16
#define SUM vf
#define SUM_START(m, at) vf_zero()
#define SUM_STEP(sum, row, weight) dot_bf16(sum, row, weight)
#define SUM_FLOAT(sum) (sum)
#else
#define NAMED(name) name##_fp32
#define SUM vf
#define SUM_START(m, at) vf_zero()
#define SUM_STEP(sum, row, weight) vf_fma((vf)(row), (vf)(weight), sum)
#define SUM_FLOAT(sum) (sum)
#endif

/* Sums are variables of their own, not an array: compilers keep an array of vectors in memory. */
#define EACH_VECTOR(DO, r) DO(r, 0) DO(r, 1) DO(r, 2) DO(r, 3)
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#define EACH_SUM(DO) \
    EACH_VECTOR(DO, 0) EACH_VECTOR(DO, 1) EACH_VECTOR(DO, 2) EACH_VECTOR(DO, 3) \
    EACH_VECTOR(DO, 4) EACH_VECTOR(DO, 5)

#define START(r, v) \
    SUM sum_##r##_##v; \
    if (r < rows && v < vectors) sum_##r##_##v = SUM_START(m, column + v * LANES);
#define INPUT(r) \
    const char *in_##r = NULL; \
    if (r < rows) \
        in_##r = job->in + (job->in_rows ? job->in_rows[row + r] : row + r) * job->in_stride;
#define ADD_UP(r, v) \
    if (v < vectors) sum_##r##_##v = SUM_STEP(sum_##r##_##v, values, weight_##v);
#define STEP(r) \
    if (r < rows) { \
        const vi values = four_bytes(in_##r + 4 * step); \
        EACH_VECTOR(ADD_UP, r) \
    }
#define FINISH(r, v) \
    if (v < vectors) NAMED(finish)(sum_##r##_##v, scale, scales, bias, adds, out, column + v * LANES);
#define OUTPUT(r) \
    if (r < rows) { \
        float *out = job->out + (job->out_rows ? job->out_rows[row + r] : row + r) * job->out_stride; \
        const vf scale = vf_set(job->row_scale ? job->row_scale[row + r] : 1.0f); \
        EACH_VECTOR(FINISH, r) \
    }

/* Scale a sum, and store it or add it to what is there. */
INLINE void NAMED(finish)(SUM sum, vf scale, const float *scales, const float *bias, int adds,
                          float *out, int at) {
    vf base = adds ? vf_load(out + at) : vf_zero();
    if (bias) base = vf_add(base, vf_load(bias + at));
    vf_store(out + at, vf_fma(SUM_FLOAT(sum), vf_mul(scale, vf_load(scales + at)), base));
}

INLINE void NAMED(tile)(const int rows, const int vectors, const Matrix *m, const Job *job,
                        int64_t row, int column) {
    const int32_t *weight = (const int32_t *)m->packed + (size_t)column * m->steps;
    const int64_t steps = m->steps;
    /* The first rows fetch the panel that comes next. */
    const int64_t ahead = row ? 0 : steps * vectors * LANES;
    EACH_ROW(INPUT)
    EACH_SUM(START)
    for (int64_t step = 0; step < steps; step++) {
        const vi weight_0 = vi_load(weight);
        const vi weight_1 = vectors > 1 ? vi_load(weight + LANES) : weight_0;
        const vi weight_2 = vectors > 2 ? vi_load(weight + 2 * LANES) : weight_0;
        const vi weight_3 = vectors > 3 ? vi_load(weight + 3 * LANES) : weight_0;
        for (int v = 0; v < vectors; v++) __builtin_prefetch(weight + ahead + v * LANES);
        weight += vectors * LANES;
        EACH_ROW(STEP)
    }
    const float *scales = m->scale, *bias = m->bias;
    const int adds = job->add;
    EACH_ROW(OUTPUT)
}
#undef START
#undef INPUT
#undef ADD_UP
#undef STEP
#undef FINISH
#undef OUTPUT
#undef EACH_VECTOR
#undef EACH_ROW
#undef EACH_SUM

#define ROWS_CASE(count, vectors) \
    case count: NAMED(tile)(count, vectors, m, job, row, column); break;
#if TILE_ROWS == 6
#define ROWS_CASES(vectors) \
    ROWS_CASE(6, vectors) ROWS_CASE(5, vectors) ROWS_CASE(4, vectors) ROWS_CASE(3, vectors) \
    ROWS_CASE(2, vectors) ROWS_CASE(1, vectors)
#else
#define ROWS_CASES(vectors) \
    ROWS_CASE(4, vectors) ROWS_CASE(3, vectors) ROWS_CASE(2, vectors) ROWS_CASE(1, vectors)
#endif

#define PANEL(vectors) \
    static void NAMED(panel_of_##vectors)(const Matrix *m, const Job *job, int column) { \
        for (int64_t row = 0; row < job->rows; row += TILE_ROWS) { \
            int64_t left = job->rows - row; \
            switch (left < TILE_ROWS ? (int)left : TILE_ROWS) { ROWS_CASES(vectors) } \
        } \
    }

PANEL(1)
PANEL(2)
#if TILE_VECTORS == 4
PANEL(3)
PANEL(4)
#endif

static void NAMED(product)(const Matrix *m, const Job *job) {
    for (int column = 0; column < m->padded; column += TILE_VECTORS * LANES) {
        int vectors = (m->padded - column) / LANES;
        switch (vectors < TILE_VECTORS ? vectors : TILE_VECTORS) {
        case 1: NAMED(panel_of_1)(m, job, column); break;
        case 2: NAMED(panel_of_2)(m, job, column); break;
#if TILE_VECTORS == 4
        case 3: NAMED(panel_of_3)(m, job, column); break;
        case 4: NAMED(panel_of_4)(m, job, column); break;
#endif
        }
    }
}

#undef NAMED
#undef SUM
#undef SUM_START
#undef SUM_STEP
#undef SUM_FLOAT
#undef ROWS_CASE
#undef ROWS_CASES
#undef PANEL
#undef PRODUCT_FORMAT
