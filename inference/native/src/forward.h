/* A batch's way through the encoder. Included once per instruction set, after its vectors. */

typedef struct {
    const char *in;          /* rows in the matrix's format */
    size_t in_stride;        /* bytes */
    const int32_t *in_rows;  /* which rows, or NULL for all in order */
    const float *row_scale;  /* one per row as counted here, or NULL */
    float *out;
    size_t out_stride;       /* floats */
    const int32_t *out_rows;
    int64_t rows;
    int add;                 /* add to what is there */
} Job;

#include "rows.h"
#include "attention.h"

INLINE vi four_bytes(const char *p) {
    int32_t bits;
    memcpy(&bits, p, 4);
    return vi_set(bits);
}

#define PRODUCT_FORMAT FORMAT_INT8
#include "product.h"
#define PRODUCT_FORMAT FORMAT_BF16
#include "product.h"
#define PRODUCT_FORMAT FORMAT_FP32
#include "product.h"

#define MOST_TOKENS 4096  /* of one segment; bounds the workspace */
#define CHUNK 192         /* tokens that attention takes at a time */
#define FEED 96           /* tokens that an expert takes at a time */
#define ALIGNMENT 64

#if defined(USE_TILES)
#include "tiles.h"
#else
#define product_tiles product_int8
#endif

static void multiply(const Matrix *m, const Job *job) {
    if (m->format == FORMAT_INT8) product_tiles(m, job);
    else if (m->format == FORMAT_BF16) product_bf16(m, job);
    else product_fp32(m, job);
}

/* The working state of one segment: events that are still in, compacted to the front. */
typedef struct {
    const Model *model;
    Workspace *space;
    int32_t experts, format;     /* experts per token; of feed-forward products */
    int64_t events, tokens;
    int32_t *lengths, *places;   /* [B]: of the events still in; their place in the segment */
    float *hidden;               /* [T, D] */
    char *coded;                 /* [T, D] in the format of what comes next */
    float *scale;                /* [T] */
    float *wide;                 /* qkv of a chunk, or an expert's inner values */
    float *mixed;                /* [CHUNK, D] */
    char *narrow;                /* rows of `mixed` or `wide` in the format */
    float *narrow_scale;
    float *scores;               /* of a chunk by the router */
    float *scratch;              /* of attention; of an exit */
    int32_t *chosen;             /* [T, K] */
    float *gates;                /* [T, K] */
    int32_t *grouped;            /* tokens by expert, [T * K] */
    float *grouped_gates;
    int64_t *starts;             /* [E + 1] */
    size_t row_bytes;
    double since;
} State;

static void spent(State *s, int stage) {
    double time = now();
    s->space->seconds[stage] += time - s->since;
    s->since = time;
}

static void count(State *s, const Matrix *m, int64_t rows) {
    s->space->multiply_adds += (double)rows * m->inputs * m->outputs;
}

/* Write hidden rows in a format, each channel times `shrink` where there is one. */
static void encode_rows(State *s, int format, const float *shrink, int64_t first, int64_t rows) {
    const int width = s->model->shape.width;
    for (int64_t t = first; t < first + rows; t++) {
        const float *x = s->hidden + t * width;
        for (int i = 0; shrink && i < width; i += LANES)
            vf_store(s->scratch + i, vf_mul(vf_load(x + i), vf_load(shrink + i)));
        s->scale[t] = encode(format, shrink ? s->scratch : x, s->coded + t * s->row_bytes, width);
    }
}

static int embed(State *s, const Batch *b, int64_t first_token) {
    const Model *m = s->model;
    const int width = m->shape.width;
    if (b->embedded) {
        memcpy(s->hidden, b->embedded + first_token * width, (size_t)s->tokens * width * 4);
    } else {
        int64_t t = 0;
        for (int64_t e = 0; e < s->events; e++) {
            if (s->lengths[e] > m->shape.positions) return RUN_TOO_LONG;
            for (int32_t at = 0; at < s->lengths[e]; at++, t++) {
                int32_t id = b->ids[first_token + t];
                if (id < 0 || id >= m->shape.vocabulary) return RUN_BAD_ID;
                const float *token = m->tokens + (int64_t)id * width;
                const float *place = m->place + (int64_t)at * width;
                float *x = s->hidden + t * width;
                for (int i = 0; i < width; i += LANES)
                    vf_store(x + i, vf_add(vf_load(token + i), vf_load(place + i)));
                normalise(x, width, m->gain, m->shift, m->shape.epsilon);
            }
        }
    }
    encode_rows(s, m->attention_format, m->layers->vectors[PART_QKV_SHRINK], 0, s->tokens);
    spent(s, STAGE_EMBED);
    return RUN_OK;
}

/* Pick the K highest scores of a row, each with a gate of twice its sigmoid. */
static void choose(const State *s, float *scores, int64_t token) {
    const int experts = s->model->shape.experts;
    float gates[256];
    for (int e = 0; e < experts; e += LANES) {
        vf below = vf_exp(vf_sub(vf_zero(), vf_load(scores + e)));
        vf_store(gates + e, vf_div(vf_set(2.0f), vf_add(below, vf_set(1.0f))));
    }
    for (int k = 0; k < s->experts; k++) {
        int best = -1;
        for (int e = 0; e < experts; e++)
            if (gates[e] >= 0 && (best < 0 || scores[e] > scores[best])) best = e;
        /* Scores that are no numbers still have to name experts that there are. */
        for (int e = 0; best < 0 && e < experts; e++) best = e;
        s->chosen[token * s->experts + k] = best;
        s->gates[token * s->experts + k] = gates[best];
        gates[best] = -1;
    }
}

static void route(State *s, const Layer *layer, int64_t first, int64_t rows) {
    const Shape *shape = &s->model->shape;
    Job job = {.in = (const char *)(s->hidden + first * shape->width),
               .in_stride = (size_t)shape->width * 4, .out = s->scores,
               .out_stride = (size_t)layer->router.padded, .rows = rows};
    multiply(&layer->router, &job);
    for (int64_t r = 0; r < rows; r++)
        choose(s, s->scores + r * layer->router.padded, first + r);
    spent(s, STAGE_ROUTE);
}

/* Attention, residual and normalisation of some events, whose tokens are then routed. */
static void mix_chunk(State *s, const Layer *layer, int64_t event, int64_t events, int64_t first,
                      int64_t rows) {
    const Shape *shape = &s->model->shape;
    const int width = shape->width;
    Job job = {.in = s->coded + first * s->row_bytes, .in_stride = s->row_bytes,
               .row_scale = s->scale + first, .out = s->wide, .out_stride = 3 * (size_t)width,
               .rows = rows};
    multiply(&layer->qkv, &job);
    count(s, &layer->qkv, rows);
    spent(s, STAGE_QKV);
    for (int64_t e = event, row = 0; e < event + events; row += s->lengths[e++])
        attend(shape, s->wide + row * 3 * width, s->lengths[e], s->mixed + row * width, s->scratch);
    for (int64_t r = 0; r < rows; r++)
        s->narrow_scale[r] =
            encode(s->model->attention_format, s->mixed + r * width, s->narrow + r * s->row_bytes, width);
    spent(s, STAGE_ATTENTION);
    job = (Job){.in = s->narrow, .in_stride = s->row_bytes, .row_scale = s->narrow_scale,
                .out = s->hidden + first * width, .out_stride = (size_t)width, .rows = rows,
                .add = 1};
    multiply(&layer->out, &job);
    count(s, &layer->out, rows);
    spent(s, STAGE_OUT);
    for (int64_t t = first; t < first + rows; t++)
        normalise(s->hidden + t * width, width, layer->vectors[PART_ATTENTION_GAIN],
                  layer->vectors[PART_ATTENTION_SHIFT], shape->epsilon);
    encode_rows(s, s->format, layer->vectors[PART_UP_SHRINK], first, rows);
    spent(s, STAGE_NORM);
    if (shape->experts > 1) route(s, layer, first, rows);
    const float *bias = layer->vectors[PART_DOWN_BIAS];
    for (float *x = s->hidden + first * width; x < s->hidden + (first + rows) * width; x += width)
        for (int i = 0; i < width; i += LANES) vf_store(x + i, vf_add(vf_load(x + i), vf_load(bias + i)));
    spent(s, STAGE_NORM);
}

static void mix(State *s, const Layer *layer) {
    for (int64_t event = 0, first = 0; event < s->events;) {
        int64_t events = 0, rows = 0;
        while (event + events < s->events &&
               (!events || rows + s->lengths[event + events] <= CHUNK))
            rows += s->lengths[event + events++];
        mix_chunk(s, layer, event, events, first, rows);
        event += events;
        first += rows;
    }
}

/* Add one feed-forward part to the hidden rows of some tokens (NULL for all in order). */
static void feed(State *s, const Matrix *up, const Matrix *down, const int32_t *tokens,
                 const float *gates, int64_t rows) {
    const int width = s->model->shape.width;
    const size_t inner_bytes = (size_t)up->padded * value_bytes(s->format);
    count(s, up, rows);
    count(s, down, rows);
    for (int64_t at = 0; at < rows; at += FEED) {
        const int64_t some = rows - at < FEED ? rows - at : FEED;
        float *scale = s->narrow_scale;
        for (int64_t r = 0; r < some; r++) scale[r] = s->scale[tokens ? tokens[at + r] : at + r];
        Job job = {.in = tokens ? s->coded : s->coded + at * s->row_bytes, .in_stride = s->row_bytes,
                   .in_rows = tokens ? tokens + at : NULL, .row_scale = scale, .out = s->wide,
                   .out_stride = (size_t)up->padded, .rows = some};
        multiply(up, &job);
        spent(s, STAGE_UP);
        for (int64_t r = 0; r < some; r++) {
            scale[r] = gelu_encode(s->format, s->wide + r * up->padded, s->narrow + r * inner_bytes,
                                   up->padded);
            if (gates) scale[r] *= gates[at + r];
        }
        spent(s, STAGE_GELU);
        job = (Job){.in = s->narrow, .in_stride = inner_bytes, .row_scale = scale,
                    .out = tokens ? s->hidden : s->hidden + at * width, .out_stride = (size_t)width,
                    .out_rows = tokens ? tokens + at : NULL, .rows = some, .add = 1};
        multiply(down, &job);
        spent(s, STAGE_DOWN);
    }
}

/* Sort tokens by expert, in their own order within each. */
static void group(State *s) {
    const int experts = s->model->shape.experts;
    const int64_t pairs = s->tokens * s->experts;
    memset(s->starts, 0, (size_t)(experts + 1) * sizeof *s->starts);
    for (int64_t i = 0; i < pairs; i++) s->starts[s->chosen[i] + 1]++;
    for (int e = 0; e < experts; e++) s->starts[e + 1] += s->starts[e];
    for (int64_t t = 0, i = 0; t < s->tokens; t++)
        for (int k = 0; k < s->experts; k++, i++) {
            int64_t at = s->starts[s->chosen[i]]++;
            s->grouped[at] = (int32_t)t;
            s->grouped_gates[at] = s->gates[i];
        }
    for (int e = experts; e > 0; e--) s->starts[e] = s->starts[e - 1];
    s->starts[0] = 0;
    spent(s, STAGE_ROUTE);
}

/* Each token's experts add up in the order of their numbers, whatever else is in the batch. */
static void feed_forward(State *s, const Layer *layer) {
    const Shape *shape = &s->model->shape;
    if (layer->shared_up.packed)
        feed(s, &layer->shared_up, &layer->shared_down, NULL, NULL, s->tokens);
    if (shape->experts == 1) {
        feed(s, layer->up, layer->down, NULL, NULL, s->tokens);
        return;
    }
    group(s);
    for (int e = 0; e < shape->experts; e++) {
        const int64_t start = s->starts[e], rows = s->starts[e + 1] - start;
        if (rows)
            feed(s, layer->up + e, layer->down + e, s->grouped + start, s->grouped_gates + start, rows);
    }
}

/* Probabilities of one event from its mean; returns whether they are numbers. */
static int answer(State *s, const Layer *layer, const float *hidden, int32_t length, float *out,
                  float *most) {
    const Shape *shape = &s->model->shape;
    const Matrix *leave = &layer->leave;
    float *mean = s->scratch, *logits = s->scratch + shape->width;
    const vf share = vf_set(1.0f / (float)length);
    for (int i = 0; i < shape->width; i += LANES) {
        vf sum = vf_zero();
        for (int32_t t = 0; t < length; t++) sum = vf_add(sum, vf_load(hidden + (int64_t)t * shape->width + i));
        vf_store(mean + i, vf_mul(sum, share));
    }
    Job job = {.in = (const char *)mean, .out = logits, .rows = 1};
    multiply(leave, &job);
    float top = -INFINITY, total = 0;
    for (int c = 0; c < shape->classes; c++) {
        logits[c] /= layer->temperature;
        if (!isfinite(logits[c])) return 0;
        if (logits[c] > top) top = logits[c];
    }
    for (int c = 0; c < leave->padded; c += LANES)
        vf_store(logits + c, vf_exp(vf_sub(vf_load(logits + c), vf_set(top))));
    for (int c = 0; c < shape->classes; c++) total += logits[c];
    for (int c = 0; c < shape->classes; c++) out[c] = logits[c] / total;
    *most = 1.0f / total;
    return 1;
}

/* Normalise, answer each event, and compact the batch to those that go on. */
static int leave_or_stay(State *s, const Batch *b, int64_t first_event, int number) {
    const Model *m = s->model;
    const Layer *layer = m->layers + number;
    const int width = m->shape.width;
    int64_t staying = 0, kept = 0, row = 0;
    for (int64_t e = 0; e < s->events; e++) {
        const int32_t length = s->lengths[e], place = s->places[e];
        float *x = s->hidden + row * width, most = 0;
        for (int32_t t = 0; t < length; t++)
            normalise(x + (int64_t)t * width, width, layer->vectors[PART_OUTPUT_GAIN],
                      layer->vectors[PART_OUTPUT_SHIFT], m->shape.epsilon);
        float *out = b->probabilities + (first_event + place) * m->shape.classes;
        if (!answer(s, layer, x, length, out, &most)) return RUN_NOT_FINITE;
        b->left_after[first_event + place] = number + 1;
        if (b->first && number + 1 == m->shape.layers)
            memcpy(b->first + (first_event + place) * width, x, (size_t)width * 4);
        if (number + 1 < m->shape.layers && most < b->thresholds[number]) {
            if (kept < row) memmove(s->hidden + kept * width, x, (size_t)length * width * 4);
            s->lengths[staying] = length;
            s->places[staying++] = place;
            kept += length;
        }
        row += length;
    }
    s->events = staying;
    s->tokens = kept;
    spent(s, STAGE_EXIT);
    if (kept) encode_rows(s, m->attention_format, layer[1].vectors[PART_QKV_SHRINK], 0, kept);
    spent(s, STAGE_NORM);
    return RUN_OK;
}

static void *carve(char **at, size_t bytes) {
    void *part = *at;
    *at += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return part;
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* Lay the state's arrays out from `at`; returns where they end. */
static char *lay_out(State *s, char *at, int64_t longest) {
    const Model *m = s->model;
    const Shape *shape = &m->shape;
    const size_t width = (size_t)shape->width, tokens = (size_t)s->tokens;
    const size_t pairs = tokens * (size_t)s->experts;
    const size_t chunk = (size_t)larger(CHUNK, longest);
    const size_t inner = (size_t)larger(m->layers->up->padded, m->layers->shared_up.padded);
    const size_t wide = (size_t)larger((int64_t)(chunk * 3 * width), (int64_t)(FEED * inner));
    const size_t narrow = (size_t)larger((int64_t)(chunk * width), (int64_t)(FEED * inner));
    const size_t attention = (size_t)(longest + 2 * MOST_HEAD) * LANES;
    const size_t exit = width + (size_t)m->layers->leave.padded;
    s->row_bytes = width * (size_t)larger((int64_t)value_bytes(s->format),
                                          (int64_t)value_bytes(m->attention_format));
    s->lengths = carve(&at, (size_t)s->events * 4);
    s->places = carve(&at, (size_t)s->events * 4);
    s->hidden = carve(&at, tokens * width * 4);
    s->coded = carve(&at, tokens * s->row_bytes);
    s->scale = carve(&at, tokens * 4);
    s->wide = carve(&at, wide * 4);
    s->mixed = carve(&at, chunk * width * 4);
    s->narrow = carve(&at, narrow * 4);
    s->narrow_scale = carve(&at, (size_t)larger((int64_t)chunk, FEED) * 4);
    s->scores = carve(&at, chunk * (size_t)larger(m->layers->router.padded, 1) * 4);
    s->scratch = carve(&at, (size_t)larger((int64_t)attention, (int64_t)exit) * 4);
    s->chosen = carve(&at, pairs * 4);
    s->gates = carve(&at, pairs * 4);
    s->grouped = carve(&at, pairs * 4);
    s->grouped_gates = carve(&at, pairs * 4);
    s->starts = carve(&at, (size_t)(shape->experts + 1) * sizeof *s->starts);
    return at;
}

static int reserve(State *s, int64_t longest) {
    const size_t wanted = (size_t)(lay_out(s, NULL, longest) - (char *)NULL);
    if (s->space->size < wanted) {
        free(s->space->memory);
        s->space->size = 0;
        if (posix_memalign((void **)&s->space->memory, ALIGNMENT, wanted)) {
            s->space->memory = NULL;
            return RUN_NO_MEMORY;
        }
        s->space->size = wanted;
    }
    lay_out(s, s->space->memory, longest);
    return RUN_OK;
}

static int run_segment(const Model *m, Workspace *space, const Batch *b, int64_t first_event,
                       int64_t events, int64_t first_token, int64_t tokens) {
    State s = {.model = m, .space = space, .experts = b->experts, .format = m->format,
               .events = events, .tokens = tokens, .since = now()};
    int64_t longest = 0;
    for (int64_t e = 0; e < events; e++) longest = larger(longest, b->lengths[first_event + e]);
    int status = reserve(&s, longest);
    if (status) return status;
    for (int64_t e = 0; e < events; e++) {
        s.lengths[e] = b->lengths[first_event + e];
        s.places[e] = (int32_t)e;
    }
    status = embed(&s, b, first_token);
    for (int number = 0; !status && s.events && number < m->shape.layers; number++) {
        mix(&s, m->layers + number);
        feed_forward(&s, m->layers + number);
        status = leave_or_stay(&s, b, first_event, number);
    }
    return status;
}

/* Run a batch in segments of about MOST_TOKENS. */
static int run(const Model *m, Workspace *space, const Batch *b) {
    int64_t event = 0, token = 0;
    while (event < b->events) {
        int64_t events = 0, tokens = 0;
        while (event + events < b->events &&
               (!events || tokens + b->lengths[event + events] <= MOST_TOKENS))
            tokens += b->lengths[event + events++];
        int status = run_segment(m, space, b, event, events, token, tokens);
        if (status) return status;
        event += events;
        token += tokens;
    }
    return RUN_OK;
}

/* Lay a matrix out: panels of TILE_VECTORS vectors of outputs, each by step, vector and lane. */
static void pack(Matrix *m, const void *values) {
    const int per_step = 4 / (int)value_bytes(m->format);
    char *out = m->packed;
    for (int column = 0; column < m->padded; column += TILE_VECTORS * LANES) {
        const int columns = m->padded - column < TILE_VECTORS * LANES ? m->padded - column
                                                                      : TILE_VECTORS * LANES;
        for (int step = 0; step < m->steps; step++)
            for (int c = column; c < column + columns; c++)
                for (int i = 0; i < per_step; i++, out += 4 / per_step) {
                    const int k = step * per_step + i;
                    const int is_padding = c >= m->outputs || k >= m->inputs;
                    const int64_t at = (int64_t)c * m->inputs + k;
                    if (m->format == FORMAT_INT8) {
                        const int level = is_padding ? 0 : ((const int8_t *)values)[at];
                        const int16_t wide = (int16_t)level;
                        const int8_t byte = (int8_t)level;
                        memcpy(out, INT8_BYTES == 1 ? (const void *)&byte : (const void *)&wide, INT8_BYTES);
                        m->start[c] -= INT8_IS_UNSIGNED ? 128 * level : 0;
                        continue;
                    }
                    const float value = is_padding ? 0.0f : ((const float *)values)[at];
                    uint32_t bits;
                    memcpy(&bits, &value, 4);
                    /* Rounded to even by the caller where the format is bfloat16. */
                    const uint16_t upper = (uint16_t)(bits >> 16);
                    memcpy(out, per_step == 2 ? (const void *)&upper : (const void *)&bits,
                           (size_t)(4 / per_step));
                }
    }
}

/* One product by itself, `repeats` times: for tests, and to measure what the processor can do. */
static int product(const Matrix *m, const float *in, int64_t rows, float *out, int32_t repeats,
                   double *seconds) {
    const size_t bytes = (size_t)m->steps * 4;
    char *coded = NULL;
    float *scale = NULL, *padded = NULL;
    int status = posix_memalign((void **)&coded, ALIGNMENT, (size_t)rows * bytes + ALIGNMENT) ||
                 posix_memalign((void **)&scale, ALIGNMENT, (size_t)rows * 4 + ALIGNMENT) ||
                 posix_memalign((void **)&padded, ALIGNMENT, (size_t)rows * m->padded * 4 + ALIGNMENT);
    if (!status) {
        const int width = m->steps * 4 / (int)value_bytes(m->format);
        for (int64_t r = 0; r < rows; r++)
            scale[r] = encode(m->format, in + r * width, coded + r * bytes, width);
        Job job = {.in = coded, .in_stride = bytes, .row_scale = scale, .out = padded,
                   .out_stride = (size_t)m->padded, .rows = rows};
        double since = now();
        for (int32_t i = 0; i < repeats; i++) multiply(m, &job);
        *seconds = now() - since;
        for (int64_t r = 0; r < rows; r++)
            memcpy(out + r * m->outputs, padded + r * m->padded, (size_t)m->outputs * 4);
    }
    free(coded);
    free(scale);
    free(padded);
    return status ? RUN_NO_MEMORY : RUN_OK;
}
