// Delivers its events when an orchestrator stops it with SIGTERM. Without a handler the signal ends the process at
// once, and the events of the last seconds are lost.
#include <csignal>
#include <iostream>
#include <mpflags/client.hpp>

int main(int argc, char** argv) try {
    if (argc != 2) {
        std::cerr << "usage: sigterm '{\"token\": \"YOUR_PROJECT_TOKEN\"}'\n";
        return 2;
    }
    // Blocked before any thread starts, so that sigwait gets the signal. The library's threads block all signals.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);

    const auto client = mpflags::Client::from_json(argv[1]);
    client.start();
    client.wait_ready(std::chrono::seconds(10));
    const mpflags::Context user({{"distinct_id", "user-1"}});
    std::cout << "new-checkout: " << client.get_boolean("new-checkout", user, false) << std::endl;

    int caught = 0;
    sigwait(&signals, &caught);
    const auto lost = client.shutdown();  // within shutdown_timeout_ms
    std::cout << lost << " events were not delivered\n";
    return lost == 0 ? 0 : 1;
} catch (const mpflags::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
