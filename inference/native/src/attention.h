/* Attention within one event, in float32.
 *
 * Lanes are queries: a vector holds one number of LANES queries, and keys and values are broadcast.
 * So the softmax needs no sum across lanes, and queries beyond the event's end are lanes that
 * nobody reads. The unnormalised sum is divided once at the end (Milakov and Gimelshein, 2018).
 */

#define KEYS 8
#define MOST_HEAD 256

/* Gather `size` numbers of up to LANES queries, scaled, as one vector per number. */
INLINE void gather_queries(const float *q, int64_t stride, int queries, int size, float scale,
                           float *out) {
    vf factor = vf_set(scale), rows[LANES];
    int d = 0;
    for (; d + LANES <= size; d += LANES) {
        for (int i = 0; i < LANES; i++)
            rows[i] = vf_mul(vf_load(q + (i < queries ? i : queries - 1) * stride + d), factor);
        transpose(rows);
        for (int i = 0; i < LANES; i++) vf_store(out + (d + i) * LANES, rows[i]);
    }
    for (; d < size; d++)
        for (int i = 0; i < LANES; i++)
            out[d * LANES + i] = q[(i < queries ? i : queries - 1) * stride + d] * scale;
}

INLINE void scatter_queries(const float *in, int64_t stride, int queries, int size, float *out) {
    vf rows[LANES];
    int d = 0;
    for (; d + LANES <= size; d += LANES) {
        for (int i = 0; i < LANES; i++) rows[i] = vf_load(in + (d + i) * LANES);
        transpose(rows);
        for (int i = 0; i < LANES; i++)
            if (i < queries) vf_store(out + i * stride + d, rows[i]);
    }
    for (; d < size; d++)
        for (int i = 0; i < queries; i++) out[i * stride + d] = in[d * LANES + i];
}

/* Scores of `count` keys for a vector of queries. */
INLINE void score_keys(const int count, const float *queries, const float *k, int64_t stride,
                       int size, float *scores) {
    vf sum[KEYS];
    for (int j = 0; j < count; j++) sum[j] = vf_zero();
    for (int d = 0; d < size; d++) {
        vf q = vf_load(queries + d * LANES);
        for (int j = 0; j < count; j++) sum[j] = vf_fma(vf_set(k[j * stride + d]), q, sum[j]);
    }
    for (int j = 0; j < count; j++) vf_store(scores + j * LANES, sum[j]);
}

static void score_all(int keys, const float *queries, const float *k, int64_t stride, int size,
                      float *scores) {
    int j = 0;
    for (; j + KEYS <= keys; j += KEYS)
        score_keys(KEYS, queries, k + j * stride, stride, size, scores + j * LANES);
#define KEYS_CASE(count) \
    case count: score_keys(count, queries, k + j * stride, stride, size, scores + j * LANES); break;
    switch (keys - j) {
        KEYS_CASE(1) KEYS_CASE(2) KEYS_CASE(3) KEYS_CASE(4) KEYS_CASE(5) KEYS_CASE(6) KEYS_CASE(7)
    }
#undef KEYS_CASE
}

/* Turn scores into unnormalised weights; returns one over their sum. */
static vf weigh(float *scores, int keys) {
    vf top[2] = {vf_load(scores), vf_load(scores)}, sum[2] = {vf_zero(), vf_zero()};
    for (int j = 0; j < keys; j++) top[j & 1] = vf_max(top[j & 1], vf_load(scores + j * LANES));
    vf most = vf_max(top[0], top[1]);
    for (int j = 0; j < keys; j++) {
        vf weight = vf_exp(vf_sub(vf_load(scores + j * LANES), most));
        vf_store(scores + j * LANES, weight);
        sum[j & 1] = vf_add(sum[j & 1], weight);
    }
    return vf_div(vf_set(1.0f), vf_add(sum[0], sum[1]));
}

static void mix_values(int keys, const float *weights, const float *v, int64_t stride, int size,
                       vf share, float *out) {
    for (int d = 0; d < size; d += 8) {
        vf sum[8];
        for (int i = 0; i < 8; i++) sum[i] = vf_zero();
        for (int j = 0; j < keys; j++) {
            vf weight = vf_load(weights + j * LANES);
            for (int i = 0; i < 8; i++) sum[i] = vf_fma(vf_set(v[j * stride + d + i]), weight, sum[i]);
        }
        for (int i = 0; i < 8; i++) vf_store(out + (d + i) * LANES, vf_mul(sum[i], share));
    }
}

/* Keys that are out of a query's window get a score that no weight is left of. */
static void close_window(float *scores, int first_query, int first_key, int keys, int window) {
    vf query = vf_add(vf_iota(), vf_set((float)first_query)), reach = vf_set((float)window);
    for (int j = 0; j < keys; j++) {
        vf apart = vf_sub(query, vf_set((float)(first_key + j)));
        vf score = vf_load(scores + j * LANES);
        vf_store(scores + j * LANES, vf_beyond(apart, reach, score, vf_set(-1e30f)));
    }
}

/* qkv [L, 3 * D] to out [L, D]; scratch holds (L + 2 * MOST_HEAD) * LANES floats. */
static double attend(const Shape *shape, const float *qkv, int length, float *out, float *scratch) {
    const int width = shape->width, size = width / shape->heads;
    const int64_t stride = 3 * (int64_t)width;
    const int window = shape->window < 0 || shape->window >= length ? -1 : shape->window;
    const float scale = 1.0f / sqrtf((float)size);
    float *queries = scratch, *mixed = scratch + MOST_HEAD * LANES;
    float *scores = scratch + 2 * MOST_HEAD * LANES;
    double pairs = 0;
    for (int head = 0; head < shape->heads; head++)
        for (int row = 0; row < length; row += LANES) {
            int count = length - row < LANES ? length - row : LANES, first = 0, last = length - 1;
            if (window >= 0) {
                first = row > window ? row - window : 0;
                if (row + count - 1 + window < last) last = row + count - 1 + window;
            }
            const int keys = last - first + 1;
            const float *q = qkv + row * stride + head * size;
            const float *k = qkv + first * stride + width + head * size;
            gather_queries(q, stride, count, size, scale, queries);
            score_all(keys, queries, k, stride, size, scores);
            if (window >= 0) close_window(scores, row, first, keys, window);
            vf share = weigh(scores, keys);
            mix_values(keys, scores, k + width, stride, size, share, mixed);
            scatter_queries(mixed, width, count, size, out + (int64_t)row * width + head * size);
            pairs += (double)count * keys;
        }
    return 2 * pairs * size;
}
