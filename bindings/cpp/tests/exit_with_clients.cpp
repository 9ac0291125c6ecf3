/* Calls exit while clients of every storage duration exist, a thread evaluates, and a request hangs. */
#include <cstdlib>
#include <iostream>
#include <mpflags/client.hpp>
#include <thread>

namespace {

mpflags::Object options(const char* host) {
    return mpflags::Object{
        {"token", "t"}, {"api_host", host}, {"polling_interval_ms", 50}, {"shutdown_timeout_ms", 200}};
}

/* Destroyed by exit. */
mpflags::Client& global(const char* host) {
    static mpflags::Client client(options(host));
    return client;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    auto& first = global(argv[1]);
    std::atomic<int> items{0};
    static std::atomic<int>* const counted = new std::atomic<int>(0);
    first.on_item([](const mpflags::ItemView&) { counted->fetch_add(1); });
    first.start();
    /* Never destroyed. */
    const auto* leaked = new mpflags::Client(options(argv[1]));
    leaked->start();
    static const thread_local mpflags::Client of_the_thread(options(argv[1]));
    of_the_thread.start();
    std::thread([leaked] {
        const mpflags::Context user({{"distinct_id", "u1"}});
        while (true) leaked->get_boolean("flag", user, false);
    }).detach();
    std::cout << "exiting" << std::endl;
    std::exit(0);
}
