/* Shared by the benchmark programs: files, clocks, failures. See bench/run.py. */

#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mpflags.h"

typedef struct {
    char *ptr;
    size_t len;
} text;

static inline void fail(const char *what) {
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static inline text read_file(const char *path) {
    text file = {NULL, 0};
    FILE *stream = fopen(path, "rb");
    if (stream == NULL || fseek(stream, 0, SEEK_END) != 0) {
        fail(path);
    }
    file.len = (size_t)ftell(stream);
    rewind(stream);
    file.ptr = malloc(file.len + 1);
    if (file.ptr == NULL || fread(file.ptr, 1, file.len, stream) != file.len) {
        fail(path);
    }
    file.ptr[file.len] = '\0';
    fclose(stream);
    return file;
}

/* Reads DIRECTORY/NAME, a file written by bench/workload.py. */
static inline text read_workload(const char *directory, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return read_file(path);
}

/* The error by address: C may read the arguments in any order, and the call before this one sets it. */
static inline void check(mpflags_status status, mpflags_error **error) {
    if (status != MPFLAGS_OK) {
        mpflags_str message = mpflags_error_message(*error);
        fprintf(stderr, "bench: status %d: %.*s\n", (int)status, (int)message.len, message.ptr);
        exit(1);
    }
}

static inline mpflags_client *new_client(const char *config, size_t len) {
    mpflags_client *client = NULL;
    mpflags_error *error = NULL;
    check(mpflags_client_new(config, len, &client, &error), &error);
    return client;
}

static inline mpflags_context *new_context(text json) {
    mpflags_context *context = NULL;
    mpflags_error *error = NULL;
    check(mpflags_context_new_json(json.ptr, json.len, &context, &error), &error);
    return context;
}

static inline uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t wall_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

/* This thread's processor time. The rest of the wall time went to other threads and processes. */
static inline uint64_t cpu_ns(void) {
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

#endif
