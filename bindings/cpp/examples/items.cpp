// Prints log lines, states and changes as they arrive, until Enter is pressed.
#include <iostream>
#include <mpflags/client.hpp>

int main(int argc, char** argv) try {
    if (argc != 2) {
        std::cerr << "usage: items '{\"token\": \"YOUR_PROJECT_TOKEN\"}'\n";
        return 2;
    }
    auto client = mpflags::Client::from_json(argv[1]);
    client.on_item([](const mpflags::ItemView& item) {
        switch (item.kind()) {
            case mpflags::ItemKind::Log: std::clog << item.level() << ": " << item.message() << std::endl; break;
            case mpflags::ItemKind::State: std::cout << "the client is " << item.state() << std::endl; break;
            case mpflags::ItemKind::Change:
                for (const auto key : item.keys()) std::cout << key << " changed" << std::endl;
                break;
            default: break;
        }
    });
    client.start();
    std::cin.get();
    client.shutdown();
} catch (const mpflags::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
