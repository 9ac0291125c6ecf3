/* A callback that throws, which mpflags.h forbids: the process aborts with a message instead of continuing with a broken
 * stack. (client.hpp catches exceptions.) usage: throwing_callback API_HOST */
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <thread>

#include "mpflags.h"

static void take(const mpflags_item*, void*) { throw std::runtime_error("from a callback"); }

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    char config[256];
    const int length = std::snprintf(config, sizeof config, "{\"token\": \"demo-token\", \"api_host\": \"%s\"}", argv[1]);
    mpflags_client* client = nullptr;
    if (mpflags_client_new(config, static_cast<size_t>(length), &client, nullptr) != MPFLAGS_OK) return 2;
    if (mpflags_client_on_item(client, take, nullptr, nullptr, nullptr) != MPFLAGS_OK) return 2;
    if (mpflags_client_start(client, nullptr) != MPFLAGS_OK) return 2;
    /* The first item comes when the client is ready, and aborts the process long before this loop ends. */
    for (int waited = 0; waited < 20000; waited += 10) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    mpflags_client_free(client);
    std::puts("still alive");
    return 0;
}
