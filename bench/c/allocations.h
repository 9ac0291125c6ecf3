/* Counts allocations: this malloc replaces glibc's, for the library as well. */

#ifndef ALLOCATIONS_H
#define ALLOCATIONS_H

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

/* In the whole process. */
static _Atomic uint64_t allocated_calls, allocated_bytes, allocated_largest;
/* In this thread. */
static _Thread_local uint64_t thread_allocations, thread_frees;

static void *counted(void *memory, size_t size) {
    atomic_fetch_add_explicit(&allocated_calls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&allocated_bytes, size, memory_order_relaxed);
    uint64_t largest = atomic_load_explicit(&allocated_largest, memory_order_relaxed);
    if (size > largest) {
        atomic_store_explicit(&allocated_largest, size, memory_order_relaxed);
    }
    thread_allocations++;
    return memory;
}

void *malloc(size_t size) {
    return counted(__libc_malloc(size), size);
}

void *calloc(size_t count, size_t size) {
    return counted(__libc_calloc(count, size), count * size);
}

void *realloc(void *memory, size_t size) {
    return counted(__libc_realloc(memory, size), size);
}

void *memalign(size_t alignment, size_t size) {
    return counted(__libc_memalign(alignment, size), size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    *memory = memalign(alignment, size);
    return *memory == NULL ? ENOMEM : 0;
}

void free(void *memory) {
    if (memory != NULL) {
        thread_frees++;
    }
    __libc_free(memory);
}

#endif
