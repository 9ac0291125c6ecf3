#include <iostream>
#include <mpflags/client.hpp>

int main(int, char** argv) try {
    const auto client = mpflags::Client::from_json(argv[1]);  // {"token": "YOUR_PROJECT_TOKEN"}
    client.start();
    client.wait_ready(std::chrono::seconds(10));

    const mpflags::Context user({{"distinct_id", "user-1"}, {"custom_properties", {{"plan", "premium"}}}});
    std::cout << client.get_string("button-color", user, "blue") << '\n';
} catch (const mpflags::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
