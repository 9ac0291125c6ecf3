/* Forks while the client polls. The parent and every child print what they see.
 *
 *   fork change URL   children that do different things, and a change of the definitions after the fork
 *   fork storm URL    fifty forks in a row, at any moment of polling
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mpflags.h"

static mpflags_client *client;
static mpflags_context *context;
static int dropped;

static void fail(const char *who, const char *what)
{
    fprintf(stderr, "%s: %s\n", who, what);
    _Exit(1);
}

static int64_t page_size(void)
{
    return mpflags_client_get_int64(client, MPFLAGS_S("search-page-size"), context, -1);
}

static void say(const char *who, const char *what)
{
    char line[100];
    int length = snprintf(line, sizeof line, "%s %s\n", who, what);
    if (write(1, line, (size_t)length) != length) _Exit(1);
}

/* Evaluates until the change after the fork is visible, and takes the item that reports it. */
static void see_change(const char *who)
{
    for (int i = 0; page_size() != 50; i++) {
        if (i == 1000) fail(who, "does not see the change");
        usleep(10000);
    }
    for (bool reported = false; !reported;) {
        mpflags_item *item = NULL;
        if (mpflags_client_next_item(client, 10000, &item, NULL) != MPFLAGS_OK) fail(who, "no item reports the change");
        reported = mpflags_item_kind(item) == MPFLAGS_ITEM_CHANGE && mpflags_item_key_count(item) == 1;
        mpflags_item_free(item);
    }
    say(who, "sees the change");
}

static void end(const char *who)
{
    if (mpflags_client_shutdown(client, 5000, NULL, NULL) != MPFLAGS_OK) fail(who, "shutdown");
    if (mpflags_client_shutdown(client, 0, NULL, NULL) != MPFLAGS_OK) fail(who, "second shutdown");
    if (page_size() < 0) fail(who, "does not evaluate after shutdown");
    mpflags_client_free(client);
    mpflags_context_free(context);
}

static void child_continues(void)
{
    if (page_size() != 20) fail("child", "the definitions are not kept");
    say("child", "evaluates");
    see_change("child");
    /* A child may fork as well. */
    pid_t grandchild = fork();
    if (grandchild == 0) {
        if (page_size() != 50) fail("grandchild", "the definitions are not kept");
        end("grandchild");
        exit(0);
    }
    int status = 1;
    if (waitpid(grandchild, &status, 0) != grandchild || status != 0) fail("child", "the grandchild failed");
    end("child");
}

static void child_frees(void) { mpflags_client_free(client); }
static void child_shuts_down(void) { end("child"); }
static void child_does_nothing(void) {}
static void child_waits(void)
{
    if (mpflags_client_state(client) != MPFLAGS_STATE_READY) fail("child", "state");
    if (mpflags_client_wait_ready(client, 5000, NULL) != MPFLAGS_OK) fail("child", "wait_ready");
    end("child");
}

static void (*const children[])(void) = {child_continues, child_frees, child_shuts_down, child_does_nothing, child_waits};
enum { CHILDREN = sizeof children / sizeof *children };

static void wait_for(const pid_t *pids, int count)
{
    for (int i = 0; i < count; i++) {
        int status = 1;
        if (waitpid(pids[i], &status, 0) != pids[i] || status != 0) {
            fprintf(stderr, "child %d ended with status %d\n", i, status);
            _Exit(1);
        }
    }
}

static void change(void)
{
    pid_t pids[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        if ((pids[i] = fork()) == 0) {
            /* A child that hangs is killed, and counts as failed. */
            alarm(30);
            children[i]();
            exit(0);
        }
    }
    say("parent", "forked");
    see_change("parent");
    wait_for(pids, CHILDREN);
}

static void storm(void)
{
    for (int i = 0; i < 50; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(30);
            if (page_size() != 20) fail("child", "the definitions are not kept");
            if (i % 2) end("child");
            exit(0);
        }
        if (page_size() != 20) fail("parent", "the definitions are not kept");
        wait_for(&pid, 1);
    }
}

static void ignore(const mpflags_item *item, void *user_data) { (void)item; (void)user_data; }
static void drop(void *user_data) { (void)user_data; dropped++; }

/* A child shuts down a client with a callback: drop is called in the parent only. */
static void callback(const char *config)
{
    mpflags_client *plain = client;
    if (mpflags_client_new(config, strlen(config), &client, NULL) != MPFLAGS_OK
        || mpflags_client_on_item(client, ignore, NULL, drop, NULL) != MPFLAGS_OK
        || mpflags_client_start(client, NULL) != MPFLAGS_OK
        || mpflags_client_wait_ready(client, 10000, NULL) != MPFLAGS_OK) {
        fail("parent", "cannot start a client with a callback");
    }
    pid_t pid = fork();
    if (pid == 0) {
        alarm(30);
        if (page_size() != 20) fail("child", "the definitions are not kept");
        end("child");
        exit(0);
    }
    wait_for(&pid, 1);
    if (dropped != 0) fail("parent", "dropped too early");
    if (mpflags_client_shutdown(client, 5000, NULL, NULL) != MPFLAGS_OK || dropped != 1) fail("parent", "not dropped");
    mpflags_client_free(client);
    client = plain;
}

int main(int argc, char **argv)
{
    char config[300];
    if (argc != 3) return 2;
    int length = snprintf(config, sizeof config, "{\"token\": \"t\", \"api_host\": \"%s\", \"polling_interval_ms\": 50,"
                          " \"retry_base_ms\": 10}", argv[2]);
    if (mpflags_client_new(config, (size_t)length, &client, NULL) != MPFLAGS_OK
        || mpflags_context_new_json(MPFLAGS_S("{\"distinct_id\": 1}"), &context, NULL) != MPFLAGS_OK
        || mpflags_client_start(client, NULL) != MPFLAGS_OK
        || mpflags_client_wait_ready(client, 10000, NULL) != MPFLAGS_OK || page_size() != 20) {
        fail("parent", "start");
    }
    callback(config);
    if (strcmp(argv[1], "storm") == 0) storm();
    else change();
    end("parent");
    say("parent", "ends");
    return 0;
}
