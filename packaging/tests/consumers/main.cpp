/* A program that uses an installed library. It needs no network, since its flag is in the configuration. */
#include <iostream>
#include <mpflags/client.hpp>

/* In other.cpp, since the header must work in two files of one program. */
std::string other(const mpflags::Client& client);

int main() {
    const mpflags::Client client({{"token", "t"}, {"enable_polling", false}, {"overrides", {{"button-color", "green"}}}});
    client.start();
    const mpflags::Context user({{"distinct_id", "u1"}});
    const std::string color = client.get_string("button-color", user, "blue");
    std::cout << "mpflags " << mpflags::version() << ": " << color << '\n';
    return color == "green" && other(client) == color ? 0 : 1;
}
