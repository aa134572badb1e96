/* Making models and running them: what the Python side calls. */
#define _GNU_SOURCE
#include "encoder.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDED(n) (((n) + 15) / 16 * 16)

double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int always(void) { return 1; }

#if defined(__x86_64__)
#include <cpuid.h>

/* One register of a leaf of cpuid: eax, ebx, ecx, edx are 0 to 3. */
static unsigned cpuid_of(unsigned leaf, unsigned part, int which) {
    unsigned r[4] = {0, 0, 0, 0};
    return __get_cpuid_count(leaf, part, r, r + 1, r + 2, r + 3) ? r[which] : 0;
}

static int has_all(unsigned bits, unsigned wanted) { return (bits & wanted) == wanted; }

/* What the operating system saves of a process: vectors of 256 bits, and of 512. */
static int saves(unsigned wanted) {
    unsigned low = 0, high = 0;
    if (!(cpuid_of(1, 0, 2) >> 27 & 1)) return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return has_all(low, wanted);
}

/* FMA; AVX2. */
static int has_avx2(void) {
    return saves(0x6) && (cpuid_of(1, 0, 2) >> 12 & 1) && (cpuid_of(7, 0, 1) >> 5 & 1);
}

/* F, DQ, BW, VL; VNNI. */
static int has_avx512(void) {
    return has_avx2() && saves(0xe6) && has_all(cpuid_of(7, 0, 1), 0xc0030000u) &&
           (cpuid_of(7, 0, 2) >> 11 & 1);
}

static int has_avxvnni(void) { return has_avx2() && (cpuid_of(7, 1, 0) >> 4 & 1); }
static int has_bf16(void) { return has_avx512() && (cpuid_of(7, 1, 0) >> 5 & 1); }

#if defined(HAVE_AMX)
#include <sys/syscall.h>
#include <unistd.h>
#define ASK_FOR_STATE 0x1023
#define TILE_STATE 18

/* Linux saves tiles of processes that have asked for it; the answer holds for all their threads. */
static int has_amx(void) {
    if (!has_avx512() || !has_bf16()) return 0;
#if defined(HEADRACE_EMULATE_TILES)
    return 1;
#else
    const int has_tiles = has_all(cpuid_of(7, 0, 3), 3u << 24);
    return has_tiles && !syscall(SYS_arch_prctl, ASK_FOR_STATE, TILE_STATE);
#endif
}
#endif

#endif

/* Best first. */
static const struct { const Isa *isa; int (*is_supported)(void); } KNOWN[] = {
#if defined(HAVE_AMX)
    {&isa_amx, has_amx},
#endif
#if defined(__x86_64__)
    {&isa_avx512, has_avx512},
#if defined(HAVE_AVXVNNI)
    {&isa_avxvnni, has_avxvnni},
#endif
    {&isa_avx2, has_avx2},
#endif
    {&isa_portable, always},
};
enum { KINDS = sizeof KNOWN / sizeof KNOWN[0] };

int headrace_version(void) { return HEADRACE_VERSION; }

/* Name of the nth instruction set that this processor has, best first; NULL after the last. */
const char *headrace_isa(int nth) {
    for (int i = 0; i < KINDS; i++)
        if (KNOWN[i].is_supported() && nth-- == 0) return KNOWN[i].isa->name;
    return NULL;
}

static const Isa *isa_named(const char *name) {
    for (int i = 0; i < KINDS; i++)
        if (KNOWN[i].is_supported() && !strcmp(KNOWN[i].isa->name, name)) return KNOWN[i].isa;
    return NULL;
}

/* Whether an instruction set has what a format needs: AVX-512 may come without BF16. */
int headrace_can(const char *name, int format) {
    const Isa *isa = isa_named(name);
#if defined(__x86_64__)
    if (isa && isa->needs_bf16 && format == FORMAT_BF16) return has_bf16();
#endif
    return isa != NULL;
}

/* Whether an instruction set multiplies a format faster than float32. */
int headrace_is_fast(const char *name, int format) {
    const Isa *isa = isa_named(name);
    if (!isa || isa == &isa_portable || !headrace_can(name, format)) return 0;
    return format == FORMAT_INT8 || (format == FORMAT_BF16 && isa->needs_bf16);
}

static void free_matrix(Matrix *m) {
    free(m->packed);
    free(m->scale);
    free(m->bias);
    free(m->start);
    memset(m, 0, sizeof *m);
}

static void *zeroed(size_t bytes) {
    void *memory = NULL;
    if (posix_memalign(&memory, 64, bytes ? bytes : 64)) return NULL;
    return memset(memory, 0, bytes);
}

/* Fill `m` from values [outputs, inputs] (levels of int8, or floats); returns 0 when out of memory. */
static int fill_matrix(Matrix *m, const Isa *isa, int format, int outputs, int inputs,
                       const void *values, const float *scale, const float *bias) {
    free_matrix(m);
    const int bytes = format == FORMAT_INT8 ? isa->int8_bytes : format == FORMAT_BF16 ? 2 : 4;
    m->format = format;
    m->outputs = outputs;
    m->inputs = inputs;
    m->padded = ROUNDED(outputs);
    m->steps = ROUNDED(inputs) * bytes / 4;
    const size_t padded = (size_t)m->padded;
    m->packed = zeroed(padded * (size_t)m->steps * 4);
    m->scale = zeroed(padded * 4);
    m->start = zeroed(padded * 4);
    m->bias = bias ? zeroed(padded * 4) : NULL;
    if (!m->packed || !m->scale || !m->start || (bias && !m->bias)) {
        free_matrix(m);
        return 0;
    }
    for (int i = 0; i < outputs; i++) m->scale[i] = scale ? scale[i] : 1.0f;
    if (bias) memcpy(m->bias, bias, (size_t)outputs * 4);
    isa->pack(m, values);
    return 1;
}

void headrace_free_model(Model *m) {
    if (!m) return;
    for (int i = 0; m->layers && i < m->shape.layers; i++) {
        Layer *l = m->layers + i;
        Matrix *own[] = {&l->qkv, &l->out, &l->router, &l->shared_up, &l->shared_down, &l->leave};
        for (size_t k = 0; k < sizeof own / sizeof own[0]; k++) free_matrix(own[k]);
        for (int e = 0; e < m->shape.experts; e++) {
            if (l->up) free_matrix(l->up + e);
            if (l->down) free_matrix(l->down + e);
        }
        free(l->up);
        free(l->down);
        for (int k = 0; k < VECTOR_PARTS; k++) free(l->vectors[k]);
    }
    free(m->layers);
    free(m->gain);
    free(m->shift);
    free(m);
}

/* A model without weights; NULL when out of memory or if the processor lacks the instructions. */
Model *headrace_new_model(const Shape *shape, const char *isa, int format) {
    Model *m = isa_named(isa) ? zeroed(sizeof *m) : NULL;
    if (!m) return NULL;
    m->shape = *shape;
    m->isa = isa_named(isa);
    m->format = m->attention_format = format;
    m->layers = zeroed((size_t)shape->layers * sizeof *m->layers);
    for (int i = 0; m->layers && i < shape->layers; i++) {
        m->layers[i].temperature = 1;
        m->layers[i].up = zeroed((size_t)shape->experts * sizeof(Matrix));
        m->layers[i].down = zeroed((size_t)shape->experts * sizeof(Matrix));
        if (!m->layers[i].up || !m->layers[i].down) {
            headrace_free_model(m);
            return NULL;
        }
    }
    if (!m->layers) {
        headrace_free_model(m);
        return NULL;
    }
    return m;
}

/* Before any matrix is set: attention's products in a format of their own. */
void headrace_set_attention_format(Model *m, int format) { m->attention_format = format; }

int headrace_set_matrix(Model *m, int layer, int part, int expert, int outputs, int inputs,
                        const void *values, const float *scale, const float *bias) {
    Layer *l = m->layers + layer;
    Matrix *parts[MATRIX_PARTS] = {&l->qkv, &l->out, &l->router, l->up + expert, l->down + expert,
                                   &l->shared_up, &l->shared_down, &l->leave};
    const int is_whole = part == PART_ROUTER || part == PART_EXIT;
    const int is_attention = part == PART_QKV || part == PART_OUT;
    const int format = is_whole ? FORMAT_FP32 : is_attention ? m->attention_format : m->format;
    return fill_matrix(parts[part], m->isa, format, outputs, inputs, values, scale, bias);
}

static int copy(float **to, const float *values, int count) {
    free(*to);
    *to = zeroed((size_t)count * 4);
    if (*to) memcpy(*to, values, (size_t)count * 4);
    return *to != NULL;
}

int headrace_set_vector(Model *m, int layer, int part, const float *values) {
    return copy(m->layers[layer].vectors + part, values, m->shape.width);
}

void headrace_set_temperature(Model *m, int layer, float temperature) {
    m->layers[layer].temperature = temperature;
}

/* The tables are not copied: they have to live as long as the model. */
int headrace_set_embedding(Model *m, float *tokens, float *positions, const float *gain,
                           const float *shift) {
    m->tokens = tokens;
    m->place = positions;
    return copy(&m->gain, gain, m->shape.width) && copy(&m->shift, shift, m->shape.width);
}

Workspace *headrace_new_workspace(void) { return zeroed(sizeof(Workspace)); }

void headrace_free_workspace(Workspace *w) {
    if (w) free(w->memory);
    free(w);
}

/* Seconds by stage [STAGES], multiply-adds, bytes held. */
void headrace_counters(const Workspace *w, double *out) {
    memcpy(out, w->seconds, sizeof w->seconds);
    out[STAGES] = w->multiply_adds;
    out[STAGES + 1] = (double)w->size;
}

int headrace_run(const Model *m, Workspace *w, const Batch *batch) {
    return m->isa->run(m, w, batch);
}

/* Multiply `in` [rows, inputs] by a matrix [outputs, inputs], `repeats` times; inputs in sixteens. */
int headrace_product(const char *isa, int format, int64_t rows, int outputs, int inputs,
                     const float *in, const void *values, const float *scale, float *out,
                     int32_t repeats, double *seconds) {
    Matrix m = {0};
    const Isa *chosen = isa_named(isa);
    if (!chosen || !fill_matrix(&m, chosen, format, outputs, inputs, values, scale, NULL))
        return RUN_NO_MEMORY;
    const int status = chosen->product(&m, in, rows, out, repeats, seconds);
    free_matrix(&m);
    return status;
}
