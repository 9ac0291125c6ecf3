/* Times single evaluations: a cheap clock, and a histogram. */

#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include "bench.h"

#if defined(__x86_64__)
#include <x86intrin.h>
static inline uint64_t ticks(void) {
    return __rdtsc();
}
#else
static inline uint64_t ticks(void) {
    return wall_ns();
}
#endif

/* 32 buckets for each power of two: a resolution of 3 %, and small enough to leave the cache to the evaluations. */
enum { FINE = 5, BUCKETS = 64 << FINE };

static inline unsigned bucket_of(uint64_t value) {
    if (value < 1u << FINE) {
        return (unsigned)value;
    }
    unsigned power = 63u - (unsigned)__builtin_clzll(value);
    return ((power - FINE + 1) << FINE) + (unsigned)((value >> (power - FINE)) & ((1u << FINE) - 1));
}

static inline double middle_of(unsigned bucket) {
    unsigned power = bucket >> FINE, fine = bucket & ((1u << FINE) - 1);
    if (power == 0) {
        return fine;
    }
    return ((double)((1u << FINE) + fine) + 0.5) * (double)(1ull << (power - 1));
}

static inline double at(const uint32_t *histogram, uint64_t total, double share) {
    uint64_t rank = (uint64_t)((double)total * share), seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += histogram[i];
        if (seen > rank) {
            return middle_of(i);
        }
    }
    return 0;
}

static inline double tick_ns(void) {
    uint64_t wall = wall_ns(), tick = ticks();
    while (wall_ns() - wall < 50000000) {
    }
    return (double)(wall_ns() - wall) / (double)(ticks() - tick);
}

#endif
