// Evaluates one flag and then all flags for a user, with the reason for each result.
#include <iostream>
#include <mpflags/client.hpp>

int main(int argc, char** argv) try {
    if (argc != 2) {
        std::cerr << "usage: details '{\"token\": \"YOUR_PROJECT_TOKEN\"}'\n";
        return 2;
    }
    const auto client = mpflags::Client::from_json(argv[1]);
    client.start();
    client.wait_ready(std::chrono::seconds(10));
    const mpflags::Context user({{"distinct_id", "user-1"}, {"custom_properties", {{"plan", "premium"}}}});

    // One flag. An evaluation without a value is not an error: use your default.
    const auto color = client.evaluate("button-color", user, mpflags::Type::String);
    if (color) {
        std::cout << "button-color: " << color.string() << ", variant " << color.variant() << ", " << color.reason()
                  << '\n';
    } else {
        std::cout << "button-color: the default, " << color.reason() << ' ' << color.message() << '\n';
    }

    // All flags. This reports no exposures, so report the flags that the user sees.
    const auto all = client.evaluate_all(user);
    for (const auto flag : all) {
        std::cout << flag.key() << ": " << (flag ? flag.json() : flag.message()) << " (" << flag.reason() << ")\n";
    }
    if (const auto banner = all.find("banner")) client.track_exposure(*banner);

    // How a flag was evaluated, step by step, as JSON.
    std::cout << client.explain("premium-chat", user) << '\n';
} catch (const mpflags::Error& error) {
    std::cerr << error.status() << ": " << error.what() << '\n';
    return 1;
}
