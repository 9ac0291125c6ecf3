/* Contexts of many users, which match the rules of `bench-eq` and `bench-and5`. */

#ifndef USERS_H
#define USERS_H

#include "bench.h"

/* context.json, with a different number in the distinct_id of each user. */
static inline mpflags_context **new_users(const char *directory, size_t count) {
    text json = read_workload(directory, "context.json");
    char *number = strstr(json.ptr, "user-");
    mpflags_context **users = malloc(count * sizeof *users);
    if (number == NULL || users == NULL) {
        fail("context.json");
    }
    number += strlen("user-");
    for (size_t i = 0; i < count; i++) {
        char digits[32];
        snprintf(digits, sizeof digits, "%011zu", i);
        memcpy(number, digits, 11);
        users[i] = new_context(json);
    }
    free(json.ptr);
    return users;
}

static inline int shows(const mpflags_client *client, const mpflags_context *user) {
    return mpflags_client_get_boolean(client, MPFLAGS_S("bench-eq"), user, 0);
}

#endif
