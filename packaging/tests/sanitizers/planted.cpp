// Deliberate bugs through client.hpp, which the sanitizers must report. usage: planted BUG
#include <iostream>
#include <mpflags/client.hpp>

int main(int argc, char** argv) {
    const std::string bug = argc == 2 ? argv[1] : "";
    const mpflags::Client client({{"token", "t"}, {"overrides", {{"flag", "a value"}, {"max", 2147483647}}}});
    const mpflags::Context user({{"distinct_id", "u1"}});
    std::string_view value;
    int seen = 0;
    if (bug == "string-after-free") {
        {
            const auto evaluation = client.evaluate("flag", user);
            value = evaluation.string();
        }
        seen = value.front();
    } else if (bug == "leak") {
        // Never deleted.
        auto* kept = new mpflags::Evaluation(client.evaluate("flag", user));
        seen = kept->has_value() ? 1 : 0;
        kept = nullptr;
    } else if (bug == "overflow") {
        seen = static_cast<int>(client.get_int64("max", user, 0));
        seen += argc;
    } else if (bug != "none") {
        return 2;
    }
    std::cout << seen << '\n';
    return 0;
}
