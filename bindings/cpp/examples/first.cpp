#include <iostream>
#include <mpflags/client.hpp>

int main(int argc, char** argv) try {
    if (argc != 2) {
        std::cerr << "usage: first '{\"token\": \"YOUR_PROJECT_TOKEN\"}'\n";
        return 2;
    }
    const auto client = mpflags::Client::from_json(argv[1]);
    client.start();
    client.wait_ready(std::chrono::seconds(10));

    const mpflags::Context user({{"distinct_id", "user-1"}, {"custom_properties", {{"plan", "premium"}}}});
    std::cout << client.get_string("button-color", user, "blue") << '\n';
} catch (const mpflags::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
