/* The encoder's forward pass on packed batches, on the host's processor.
 *
 * A model is made once: its matrices are rounded to the chosen number format and laid out for the
 * chosen instruction set. A run takes a whole batch from token ids to probabilities without the
 * interpreter. Names in comments: T tokens, B events, D width, E experts, F neurons per expert,
 * C classes.
 *
 * Every sum runs in an order that depends on its own row alone, so an event's scores do not depend
 * on what else is in the batch, to the bit.
 */
#ifndef HEADRACE_ENCODER_H
#define HEADRACE_ENCODER_H

#include <stddef.h>
#include <stdint.h>

#define HEADRACE_VERSION 2

#if defined(__x86_64__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define HAVE_AVXVNNI
#if defined(__linux__)
#define HAVE_AMX
#endif
#endif

/* Number formats of the large products; macros, as the preprocessor chooses by them. */
#define FORMAT_FP32 0
#define FORMAT_BF16 1
#define FORMAT_INT8 2

/* What a matrix or vector of a layer is. */
enum { PART_QKV, PART_OUT, PART_ROUTER, PART_UP, PART_DOWN, PART_SHARED_UP, PART_SHARED_DOWN,
       PART_EXIT, MATRIX_PARTS };
enum { PART_ATTENTION_GAIN, PART_ATTENTION_SHIFT, PART_OUTPUT_GAIN, PART_OUTPUT_SHIFT,
       PART_DOWN_BIAS, PART_QKV_SHRINK, PART_UP_SHRINK, VECTOR_PARTS };

/* What a run returns. */
enum { RUN_OK = 0, RUN_NO_MEMORY = -1, RUN_BAD_ID = -2, RUN_TOO_LONG = -3, RUN_NOT_FINITE = -4 };

/* Where the time of runs goes. */
enum { STAGE_EMBED, STAGE_QKV, STAGE_ATTENTION, STAGE_OUT, STAGE_ROUTE, STAGE_UP, STAGE_GELU,
       STAGE_DOWN, STAGE_NORM, STAGE_EXIT, STAGES };

typedef struct {
    int32_t layers, width, heads, experts, expert_size, shared_size, classes;
    int32_t window;          /* tokens that attention reaches to either side; -1 for all */
    int32_t vocabulary;      /* 0 where tokens come ready-made */
    int32_t positions;
    float epsilon;           /* of layer normalisation */
} Shape;

/* A matrix of `outputs` by `inputs`, laid out for products; both padded to whole vectors. */
typedef struct {
    int32_t format, inputs, outputs, steps, padded;
    void *packed;
    float *scale;            /* per output, [padded] */
    float *bias;             /* per output, [padded] */
    int32_t *start;          /* what an integer sum begins at, [padded] */
} Matrix;

typedef struct {
    Matrix qkv, out, router, shared_up, shared_down, leave;
    Matrix *up, *down;       /* [E] */
    float *vectors[VECTOR_PARTS];
    float temperature;
} Layer;

typedef struct Isa Isa;

typedef struct {
    Shape shape;
    const Isa *isa;
    int32_t format;          /* of feed-forward products */
    int32_t attention_format;
    Layer *layers;
    float *tokens, *place, *gain, *shift;   /* of the embedding */
} Model;

/* Scratch memory of one thread; grows to the largest batch seen, up to a bound. */
typedef struct {
    char *memory;
    size_t size;
    double seconds[STAGES];  /* since the workspace was made */
    double multiply_adds;    /* of the large products, likewise */
} Workspace;

typedef struct {
    const int32_t *ids;      /* [T], or NULL */
    const float *embedded;   /* [T, D], or NULL */
    const int32_t *lengths;  /* [B] */
    int64_t events;
    int32_t experts;
    const float *thresholds; /* [layers] */
    float *probabilities;    /* [B, C] */
    float *first;            /* [B, D]: each event's first token behind the last layer; or NULL */
    int32_t *left_after;     /* [B] */
} Batch;

struct Isa {
    const char *name;
    int int8_bytes;          /* that a level takes */
    int needs_bf16;          /* for products of bfloat16, which others widen */
    void (*pack)(Matrix *, const void *values);
    int (*run)(const Model *, Workspace *, const Batch *);
    int (*product)(const Matrix *, const float *in, int64_t rows, float *out, int32_t repeats,
                   double *seconds);
};

double now(void);

extern const Isa isa_portable;
#if defined(__x86_64__)
extern const Isa isa_avx2, isa_avx512;
#if defined(HAVE_AVXVNNI)
extern const Isa isa_avxvnni;
#endif
#if defined(HAVE_AMX)
extern const Isa isa_amx;
#endif
#endif

#endif
