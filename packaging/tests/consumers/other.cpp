#include <mpflags/client.hpp>

std::string other(const mpflags::Client& client);

std::string other(const mpflags::Client& client) {
    return client.evaluate("button-color", mpflags::Context(), mpflags::Type::String).string();
}
