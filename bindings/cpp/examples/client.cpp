// Evaluates a flag of each type, prints the reasons, and follows changes until `search-page-size` has changed.
//
//   client '{"token": "YOUR_PROJECT_TOKEN", "polling_interval_ms": 1000}' SECONDS
#include <cstdlib>
#include <iostream>
#include <mpflags/client.hpp>
#include <string>

using std::chrono::seconds;
using std::chrono::steady_clock;

namespace {

void show(const mpflags::Client& client, const mpflags::Context& user, const char* key, mpflags::Type type) {
    const auto evaluation = client.evaluate(key, user, type);
    std::cout << key << ": ";
    if (evaluation) {
        std::cout << evaluation.json() << " (" << evaluation.variant() << ", " << evaluation.reason() << ")";
    } else {
        std::cout << "the default (" << evaluation.reason() << ") " << evaluation.message();
    }
    std::cout << std::endl;
}

// Returns whether search-page-size has changed.
bool follow(const mpflags::ItemView& item, const mpflags::Client& client, const mpflags::Context& user) {
    bool seen = false;
    switch (item.kind()) {
        case mpflags::ItemKind::Log: std::cerr << item.level() << ": " << item.message() << '\n'; break;
        case mpflags::ItemKind::State: std::cout << "the client is " << item.state() << std::endl; break;
        case mpflags::ItemKind::Change:
            for (const auto key : item.keys()) seen |= key == "search-page-size";
            if (seen) show(client, user, "search-page-size", mpflags::Type::Int64);
            break;
        default: break;
    }
    return seen;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: client CONFIG SECONDS\n";
        return 2;
    }
    try {
        const auto client = mpflags::Client::from_json(argv[1]);
        client.start();
        client.wait_ready(seconds(10));

        const mpflags::Context user(
            {{"distinct_id", "user-2"}, {"custom_properties", {{"plan", "premium"}, {"country", "FR"}}}});
        show(client, user, "new-checkout", mpflags::Type::Boolean);
        show(client, user, "button-color", mpflags::Type::String);
        show(client, user, "search-page-size", mpflags::Type::Int64);
        show(client, user, "ranking-boost", mpflags::Type::Double);
        show(client, user, "banner", mpflags::Type::Object);
        show(client, user, "no-such-flag", mpflags::Type::Any);

        const auto end = steady_clock::now() + seconds(std::atoi(argv[2]));
        bool changed = false;
        mpflags::Item item;
        while (!changed && steady_clock::now() < end) {
            const auto got = client.next_item(item, std::chrono::milliseconds(100));
            if (got == mpflags::Status::Closed) break;
            if (got == mpflags::Status::Ok) changed = follow(item, client, user);
        }
        std::cout << client.shutdown(seconds(5)) << " events were not delivered\n";
        return changed || argv[2] == std::string("0") ? 0 : 1;
    } catch (const mpflags::Error& error) {
        std::cerr << "client: " << error.what() << '\n';
        return 1;
    }
}
