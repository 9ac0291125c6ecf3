/* Loads the library at run time, uses it, shuts down and unloads it, ten times: no thread and no descriptor is left behind,
 * and nothing calls code that is gone. usage: dlopen LIBRARY API_HOST */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mpflags.h"

static void fail(const char *what)
{
    fprintf(stderr, "dlopen: %s\n", what);
    exit(1);
}

/* ISO C has no conversion from an object pointer to a function pointer; POSIX guarantees that this works. */
static void find(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);
    if (found == NULL) fail(name);
    memcpy(function, &found, sizeof found);
}
#define FIND(library, name) __typeof__(&name) p_##name; find(library, #name, &p_##name)

static int entries(const char *folder)
{
    int count = 0;
    DIR *open = opendir(folder);
    if (open == NULL) fail(folder);
    while (readdir(open) != NULL) count++;
    closedir(open);
    return count;
}

/* A thread that was joined may still be listed for a moment. */
static bool grows(const char *folder, int before)
{
    const struct timespec moment = {0, 5000000};
    for (int waited = 0; entries(folder) > before; waited += 5) {
        if (waited >= 10000) return true;
        nanosleep(&moment, NULL);
    }
    return false;
}

static int items;
static void take(const mpflags_item *item, void *user_data)
{
    (void)item;
    (void)user_data;
    items++;
}

static void use(const char *path, const char *host)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) fail(dlerror());
    FIND(library, mpflags_abi_version);
    FIND(library, mpflags_abi_revision);
    FIND(library, mpflags_client_new);
    FIND(library, mpflags_client_on_item);
    FIND(library, mpflags_client_start);
    FIND(library, mpflags_client_wait_ready);
    FIND(library, mpflags_client_get_boolean);
    FIND(library, mpflags_client_shutdown);
    FIND(library, mpflags_client_free);
    FIND(library, mpflags_context_new_json);
    FIND(library, mpflags_context_free);
    if (p_mpflags_abi_version() != MPFLAGS_ABI_VERSION || p_mpflags_abi_revision() < MPFLAGS_ABI_REVISION)
        fail("another version");

    char config[256];
    int length = snprintf(config, sizeof config, "{\"token\": \"demo-token\", \"api_host\": \"%s\"}", host);
    mpflags_client *client = NULL;
    mpflags_context *user = NULL;
    if (p_mpflags_client_new(config, (size_t)length, &client, NULL) != MPFLAGS_OK) fail("client_new");
    if (p_mpflags_client_on_item(client, take, NULL, NULL, NULL) != MPFLAGS_OK) fail("on_item");
    if (p_mpflags_client_start(client, NULL) != MPFLAGS_OK) fail("start");
    if (p_mpflags_client_wait_ready(client, 20000, NULL) != MPFLAGS_OK) fail("wait_ready");
    if (p_mpflags_context_new_json(MPFLAGS_S("{\"distinct_id\": \"qa-1\"}"), &user, NULL) != MPFLAGS_OK) fail("context");
    if (!p_mpflags_client_get_boolean(client, MPFLAGS_S("new-checkout"), user, false)) fail("new-checkout is off");
    if (p_mpflags_client_shutdown(client, 20000, NULL, NULL) != MPFLAGS_OK) fail("shutdown");
    p_mpflags_context_free(user);
    p_mpflags_client_free(client);
    if (dlclose(library) != 0) fail("dlclose");

    /* Marked nodelete: it stays loaded, so that thread destructors and the fork handler find their code. */
    void *again = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (again == NULL) fail("the library was unloaded");
    dlclose(again);
    if (fork() == 0) _exit(0);
}

int main(int argc, char **argv)
{
    if (argc != 3) fail("usage: dlopen LIBRARY API_HOST");
    int threads = entries("/proc/self/task"), descriptors = 0;
    for (int round = 0; round < 10; round++) {
        use(argv[1], argv[2]);
        if (grows("/proc/self/task", threads)) fail("a thread is left behind");
        if (round == 0) descriptors = entries("/proc/self/fd");
        if (grows("/proc/self/fd", descriptors)) fail("a descriptor is left behind");
    }
    printf("ten times, %d items\n", items);
    return 0;
}
