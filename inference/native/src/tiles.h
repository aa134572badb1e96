/* Products of int8 on AMX, Intel's matrix unit (Sapphire Rapids and later).
 *
 * A tile is 16 rows of 64 bytes. The layout of weights is that of the AVX-512 kernels: 16 steps of
 * one vector are a tile as they lie. Integer sums are exact, so both kernels give the same numbers,
 * and what does not fill a tile is left to the other one.
 *
 * With HEADRACE_EMULATE_TILES the five operations are done in plain C, so that packing and loops
 * can be tested where there is no such unit.
 */

#define TILE 16        /* rows of a tile; 32-bit columns of it */
#define TILE_BYTES 64  /* of one row */
#define MOST_INPUTS 2048

#if defined(HEADRACE_EMULATE_TILES)

typedef union { uint8_t bytes[TILE][TILE_BYTES]; int32_t sums[TILE][TILE]; } Tile;
static _Thread_local Tile tiles[8];

#define tiles_begin() ((void)0)
#define tiles_end() ((void)0)
#define tile_zero(n) memset(tiles + (n), 0, sizeof(Tile))
#define tile_load(n, from, stride) tile_load_rows(tiles + (n), (const char *)(from), stride)
#define tile_store(n, to) memcpy(to, tiles + (n), sizeof(Tile))
#define tile_dot(sum, row, weight) tile_dot_rows(tiles + (sum), tiles + (row), tiles + (weight))

static void tile_load_rows(Tile *tile, const char *from, size_t stride) {
    for (int i = 0; i < TILE; i++) memcpy(tile->bytes[i], from + i * stride, TILE_BYTES);
}

/* Unsigned rows by signed weights, four to a step. */
static void tile_dot_rows(Tile *sum, const Tile *row, const Tile *weight) {
    for (int i = 0; i < TILE; i++)
        for (int j = 0; j < TILE; j++)
            for (int k = 0; k < TILE; k++)
                for (int b = 0; b < 4; b++)
                    sum->sums[i][j] +=
                        row->bytes[i][4 * k + b] * (int8_t)weight->bytes[k][4 * j + b];
}

#else

/* As instructions: no compiler's intrinsics say that a tile is loaded from memory. */
#define tile_zero(n) __asm__ volatile("tilezero %%tmm" #n ::: "memory")
#define tile_load(n, from, stride) \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #n ::"r"(from), "r"((size_t)(stride)) : "memory")
#define tile_store(n, to) \
    __asm__ volatile("tilestored %%tmm" #n ", (%0,%1,1)" ::"r"(to), "r"((size_t)TILE_BYTES) : "memory")
#define tile_dot(sum, row, weight) \
    __asm__ volatile("tdpbusd %%tmm" #weight ", %%tmm" #row ", %%tmm" #sum ::: "memory")
#define tiles_end() __asm__ volatile("tilerelease" ::: "memory")

static void tiles_begin(void) {
    struct { uint8_t palette, start, reserved[14]; uint16_t bytes[16]; uint8_t rows[16]; } shape;
    memset(&shape, 0, sizeof shape);
    shape.palette = 1;
    for (int i = 0; i < 8; i++) {
        shape.bytes[i] = TILE_BYTES;
        shape.rows[i] = TILE;
    }
    __asm__ volatile("ldtilecfg %0" ::"m"(shape) : "memory");
}

#endif

/* Scale one tile of sums, and store it or add it to what is there. */
static void finish_tile(const Matrix *m, const Job *job, const int32_t *sums, int64_t row, int column) {
    const vi start = vi_load(m->start + column);
    for (int i = 0; i < TILE; i++) {
        float *out = job->out + (job->out_rows ? job->out_rows[row + i] : row + i) * job->out_stride;
        const vf scale = vf_set(job->row_scale ? job->row_scale[row + i] : 1.0f);
        finish_int8(_mm512_add_epi32(vi_load(sums + i * TILE), start), scale, m->scale, m->bias,
                    job->add, out, column);
    }
}

/* 16 or 32 rows by 16 or 32 columns of a panel; `in` holds the rows one after another. */
static void tile_block(const Matrix *m, const Job *job, const char *in, size_t stride, int64_t row,
                       const int is_tall, int column, int vector, int vectors, const int is_wide) {
    int32_t sums[TILE * TILE] __attribute__((aligned(64)));
    const int32_t *weight = (const int32_t *)m->packed + (size_t)column * m->steps + vector * TILE;
    const size_t apart = (size_t)vectors * TILE_BYTES;
    tile_zero(0);
    tile_zero(1);
    tile_zero(2);
    tile_zero(3);
    for (int step = 0; step < m->steps; step += TILE) {
        tile_load(4, in + 4 * step, stride);
        if (is_tall) tile_load(5, in + TILE * stride + 4 * step, stride);
        tile_load(6, weight, apart);
        tile_dot(0, 4, 6);
        if (is_tall) tile_dot(2, 5, 6);
        if (is_wide) {
            tile_load(7, weight + TILE, apart);
            tile_dot(1, 4, 7);
            if (is_tall) tile_dot(3, 5, 7);
        }
        weight += (size_t)vectors * TILE * TILE;
    }
    column += vector * TILE;
    tile_store(0, sums);
    finish_tile(m, job, sums, row, column);
    if (is_wide) {
        tile_store(1, sums);
        finish_tile(m, job, sums, row, column + TILE);
    }
    if (is_tall) {
        tile_store(2, sums);
        finish_tile(m, job, sums, row + TILE, column);
    }
    if (is_tall && is_wide) {
        tile_store(3, sums);
        finish_tile(m, job, sums, row + TILE, column + TILE);
    }
}

static void tile_panel(const Matrix *m, const Job *job, const char *in, size_t stride, int64_t row,
                       int is_tall, int column) {
    const int left = (m->padded - column) / TILE, vectors = left < TILE_VECTORS ? left : TILE_VECTORS;
    for (int vector = 0; vector < vectors; vector += 2)
        tile_block(m, job, in, stride, row, is_tall, column, vector, vectors, vector + 1 < vectors);
}

/* Rows that are picked from here and there are brought together, 32 at a time. */
static void tile_picked(const Matrix *m, const Job *job, int64_t rows) {
    char together[2 * TILE * MOST_INPUTS] __attribute__((aligned(64)));
    const size_t bytes = (size_t)m->steps * 4;
    for (int64_t row = 0; row < rows; row += 2 * TILE) {
        const int some = rows - row < 2 * TILE ? TILE : 2 * TILE;
        for (int i = 0; i < some; i++)
            memcpy(together + i * bytes, job->in + job->in_rows[row + i] * job->in_stride, bytes);
        for (int column = 0; column < m->padded; column += TILE_VECTORS * LANES)
            tile_panel(m, job, together, bytes, row, some > TILE, column);
    }
}

static void tile_contiguous(const Matrix *m, const Job *job, int64_t rows) {
    for (int column = 0; column < m->padded; column += TILE_VECTORS * LANES)
        for (int64_t row = 0; row < rows; row += 2 * TILE)
            tile_panel(m, job, job->in + row * job->in_stride, job->in_stride, row,
                       rows - row > TILE, column);
}

static void product_tiles(const Matrix *m, const Job *job) {
    const int64_t rows = m->steps % TILE || m->inputs > MOST_INPUTS ? 0 : job->rows / TILE * TILE;
    if (rows) {
        tiles_begin();
        if (job->in_rows) tile_picked(m, job, rows);
        else tile_contiguous(m, job, rows);
        tiles_end();
    }
    if (rows == job->rows) return;
    Job rest = *job;
    rest.rows -= rows;
    if (rest.row_scale) rest.row_scale += rows;
    if (rest.in_rows) rest.in_rows += rows;
    else rest.in += rows * rest.in_stride;
    if (rest.out_rows) rest.out_rows += rows;
    else rest.out += rows * rest.out_stride;
    product_int8(m, &rest);
}
