/* Evaluates a flag for the rows of a table, in Arrow's format in and out, and for the same users one by one, as JSON.

       table CONFIG_FILE [ROUNDS]

   Prints a line for each case: its name, then the rows per second of processor time: the 5th percentile, the median
   and the 95th percentile of the rounds. A round is 524,288 rows of a table, or 32,768 single calls. The rounds of
   the cases take turns. */

#include "bench.h"

enum { ROWS = 65536, BATCHES = 8, SINGLE = 32768 };

static const char *const plans[] = {"premium", "Premium", "free", "basic"};
static const char *const countries[] = {"DE", "FR", "US", "JP", "ES"};

/* Strings, one after the other. */
struct strings {
    int32_t ends[ROWS + 1];
    char text[ROWS * 16];
};

static struct users {
    struct strings ids, plans, versions, countries;
    int64_t ages[ROWS];
    uint8_t betas[ROWS / 8];
} users[BATCHES];

static char *contexts[SINGLE];
static int next_batch;

static unsigned choice(unsigned row, unsigned count) {
    return (row * 2654435761u >> 6) % count;
}

static void add(struct strings *to, int row, const char *text) {
    int32_t length = (int32_t)strlen(text);
    memcpy(to->text + to->ends[row], text, (size_t)length);
    to->ends[row + 1] = to->ends[row] + length;
}

static void make(void) {
    for (int batch = 0; batch < BATCHES; batch++) {
        struct users *to = &users[batch];
        for (int row = 0; row < ROWS; row++) {
            unsigned n = (unsigned)(batch * ROWS + row);
            char id[32], version[32], context[256];
            snprintf(id, sizeof id, "user-%011u", n);
            snprintf(version, sizeof version, "2.%u.0", n % 20);
            const char *plan = plans[choice(n, 4)], *country = countries[choice(n / 3, 5)];
            add(&to->ids, row, id);
            add(&to->plans, row, plan);
            add(&to->versions, row, version);
            add(&to->countries, row, country);
            to->ages[row] = n % 80;
            to->betas[row / 8] |= (uint8_t)((n % 3 > 0) << row % 8);
            if (n < SINGLE) {
                snprintf(context, sizeof context,
                         "{\"distinct_id\": \"%s\", \"custom_properties\": {\"plan\": \"%s\", \"country\": \"%s\", "
                         "\"age\": %u, \"app_version\": \"%s\", \"beta\": %s}}",
                         id, plan, country, n % 80, version, n % 3 > 0 ? "true" : "false");
                contexts[n] = strdup(context);
            }
        }
    }
}

static const char *const names[] = {"distinct_id", "plan", "app_version", "country", "age", "beta"};
static const char *const formats[] = {"u", "u", "u", "u", "l", "b"};

static void keep_schema(struct ArrowSchema *schema) {
    schema->release = NULL;
}

static void keep_array(struct ArrowArray *array) {
    array->release = NULL;
}

static void keep_stream(struct ArrowArrayStream *stream) {
    stream->release = NULL;
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out) {
    static struct ArrowSchema columns[6], *children[6];
    (void)stream;
    for (int i = 0; i < 6; i++) {
        columns[i] = (struct ArrowSchema){formats[i], names[i], NULL, 0, 0, NULL, NULL, keep_schema, NULL};
        children[i] = &columns[i];
    }
    *out = (struct ArrowSchema){"+s", "", NULL, 0, 6, children, NULL, keep_schema, NULL};
    return 0;
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out) {
    static struct ArrowArray columns[6], *children[6];
    static const void *buffers[6][3], *none[] = {NULL};
    (void)stream;
    if (next_batch == BATCHES) {
        memset(out, 0, sizeof *out);
        return 0;
    }
    struct users *from = &users[next_batch++];
    struct strings *texts[] = {&from->ids, &from->plans, &from->versions, &from->countries};
    for (int i = 0; i < 6; i++) {
        buffers[i][1] = i < 4 ? (void *)texts[i]->ends : i == 4 ? (void *)from->ages : (void *)from->betas;
        buffers[i][2] = i < 4 ? texts[i]->text : NULL;
        columns[i] = (struct ArrowArray){ROWS, 0, 0, i < 4 ? 3 : 2, 0, buffers[i], NULL, NULL, keep_array, NULL};
        children[i] = &columns[i];
    }
    *out = (struct ArrowArray){ROWS, 0, 0, 1, 6, none, children, NULL, keep_array, NULL};
    return 0;
}

static const char *get_last_error(struct ArrowArrayStream *stream) {
    (void)stream;
    return NULL;
}

static double table(const mpflags_client *client, const char *options) {
    uint64_t start = cpu_ns();
    struct ArrowArrayStream in = {get_schema, get_next, get_last_error, keep_stream, NULL}, out;
    mpflags_error *error = NULL;
    next_batch = 0;
    check(mpflags_client_evaluate_table(client, &in, options, strlen(options), &out, &error), &error);
    for (int64_t rows = 0;;) {
        struct ArrowArray batch;
        if (out.get_next(&out, &batch) != 0) {
            fail(out.get_last_error(&out));
        }
        if (batch.release == NULL) {
            if (rows != ROWS * BATCHES) {
                fail("rows are missing");
            }
            break;
        }
        rows += batch.length;
        batch.release(&batch);
    }
    out.release(&out);
    return (double)ROWS * BATCHES * 1e9 / (double)(cpu_ns() - start);
}

static double single(const mpflags_client *client, const char *key) {
    uint64_t start = cpu_ns();
    for (int i = 0; i < SINGLE; i++) {
        mpflags_evaluation *evaluation = NULL;
        mpflags_error *error = NULL;
        check(mpflags_client_evaluate_encoded(client, key, strlen(key), contexts[i], strlen(contexts[i]),
                                              MPFLAGS_ENCODING_JSON, MPFLAGS_TYPE_ANY, 0, 0, &evaluation, &error),
              &error);
        mpflags_evaluation_free(evaluation);
    }
    return SINGLE * 1e9 / (double)(cpu_ns() - start);
}

static int compare(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

int main(int argc, char **argv) {
    enum { CASES = 6, MOST = 1000 };
    static double samples[CASES][MOST];
    static const char *const cases[CASES] = {"table eq", "table eq, plain", "table and5", "table eq and and5", "single eq",
                                             "single and5"};
    int rounds = argc > 2 ? atoi(argv[2]) : 21;
    if (argc < 2 || rounds < 1 || rounds > MOST) {
        fail("usage: table CONFIG_FILE [ROUNDS]");
    }
    text config = read_file(argv[1]);
    mpflags_client *client = new_client(config.ptr, config.len);
    make();
    for (int round = -1; round < rounds; round++) {
        double took[CASES] = {table(client, "{\"flags\": [\"bench-eq\"]}"),
                              table(client, "{\"flags\": [\"bench-eq\"], \"dictionary\": false}"),
                              table(client, "{\"flags\": [\"bench-and5\"]}"),
                              table(client, "{\"flags\": [\"bench-eq\", \"bench-and5\"]}"),
                              single(client, "bench-eq"),
                              single(client, "bench-and5")};
        /* The first round warms up. */
        for (int i = 0; round >= 0 && i < CASES; i++) {
            samples[i][round] = took[i];
        }
    }
    for (int i = 0; i < CASES; i++) {
        qsort(samples[i], (size_t)rounds, sizeof samples[i][0], compare);
        printf("%-18s %11.0f %11.0f %11.0f\n", cases[i], samples[i][rounds / 20], samples[i][rounds / 2],
               samples[i][rounds - 1 - rounds / 20]);
    }
    mpflags_client_free(client);
    return 0;
}
