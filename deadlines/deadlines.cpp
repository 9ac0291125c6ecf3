/* The program of deadlines/run.py for C++.
 *
 *   deadlines URL
 */
#include <array>
#include <chrono>
#include <cstddef>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "mpflags/client.hpp"

namespace {

using mpflags::Client;
using mpflags::Context;
using std::chrono::milliseconds;

/* The limits of calls and requests, of destroying a client, and of calls that another one ends. */
constexpr milliseconds limit(600), request(900), destruction(1000), forever(30000);
/* How often each local evaluation is measured. */
constexpr int times = 100;

constexpr const char* definitions = R"({"flags": [{"key": "f", "context": "distinct_id", "ruleset": {
    "variants": [{"key": "a", "value": true, "split": 1.0}], "rollout": [{"rollout_percentage": 1.0}]}}]})";

const char* url;

/* How long a call may take. */
struct May {
    May(milliseconds most) : text(std::to_string(most.count())) {}
    explicit May(std::string_view kind) : text(kind) {}
    std::string text;
};
const May none("none"), evaluation("evaluation");

/* Makes a call, and prints how long it took. A call that waits may fail, since nothing responds. */
template <class Call>
void measure(const May& may, std::string_view name, const Call& call) {
    const auto begun = std::chrono::steady_clock::now();
    try {
        call();
    } catch (const mpflags::Error&) {
        if (may.text == none.text || may.text == evaluation.text) throw;
    }
    const auto took = std::chrono::steady_clock::now() - begun;
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
    std::cout << may.text << ' ' << microseconds << ' ' << name << std::endl;
}

template <class Call>
void quietly(const Call& call) {
    try {
        call();
    } catch (const mpflags::Error&) {
    }
}

mpflags::Object options(milliseconds request_timeout = request) {
    return {{"token", "t"},
            {"api_host", url},
            {"allow_insecure_http", true},
            {"proxy", ""},
            {"init_timeout_ms", limit.count()},
            {"request_timeout_ms", request_timeout.count()}};
}

/* Started, with an event to deliver. */
std::unique_ptr<Client> started(const mpflags::Object& options) {
    std::unique_ptr<Client> client;
    measure(none, "Client::Client", [&] { client = std::make_unique<Client>(options); });
    measure(none, "Client::start", [&] { client->start(); });
    measure(none, "Client::track", [&] { client->track("E", "u"); });
    return client;
}

void again(const Client& client) {
    client.start();
    client.track("E", "u");
}

/* A table without columns and rows. */
ArrowArrayStream table() {
    ArrowArrayStream stream{};
    stream.get_schema = [](ArrowArrayStream*, ArrowSchema* out) {
        *out = ArrowSchema{};
        out->format = "+s";
        out->name = "";
        out->release = [](ArrowSchema* schema) { schema->release = nullptr; };
        return 0;
    };
    stream.get_next = [](ArrowArrayStream*, ArrowArray* out) {
        out->release = nullptr;
        return 0;
    };
    stream.get_last_error = [](ArrowArrayStream*) -> const char* { return nullptr; };
    stream.release = [](ArrowArrayStream* self) { self->release = nullptr; };
    return stream;
}

void evaluate_table(const May& may, const Client& client) {
    ArrowArrayStream users = table(), results{};
    measure(may, "Client::evaluate_table", [&] { results = client.evaluate_table(&users); });
    if (results.release != nullptr) results.release(&results);
}

/* Evaluates in every way that has no timeout. */
void evaluate(const May& may, const Client& client, const std::string& id) {
    const std::string json = R"({"distinct_id": ")" + id + "\"}";
    const Context user = Context::from_json(json);
    measure(may, "Client::get_boolean", [&] { client.get_boolean("f", user, false); });
    measure(may, "Client::get_int64", [&] { client.get_int64("f", user, 0); });
    measure(may, "Client::get_double", [&] { client.get_double("f", user, 0); });
    measure(may, "Client::get_string", [&] { client.get_string("f", user, ""); });
    measure(may, "Client::get_json", [&] { client.get_json("f", user, "{}"); });
    measure(may, "Client::evaluate", [&] { client.evaluate("f", user); });
    measure(may, "Client::evaluate_json", [&] { client.evaluate_json("f", json); });
    measure(may, "Client::evaluate_all", [&] { client.evaluate_all(user); });
}

/* The calls for which a local client waits. */
void local() {
    auto client = started(options().add("shutdown_timeout_ms", limit.count()));
    measure(limit, "Client::wait_ready", [&] { client->wait_ready(); });
    measure(limit / 2, "Client::wait_ready", [&] { client->wait_ready(limit / 2); });
    measure(request, "Client::refresh", [&] { client->refresh(); });
    measure(limit, "Client::refresh", [&] { client->refresh(limit); });
    measure(limit, "Client::flush", [&] { client->flush(limit); });
    mpflags::Item item;
    while (client->next_item(item, milliseconds(0)) == mpflags::Status::Ok) continue;
    measure(limit / 2, "Client::next_item", [&] { client->next_item(item, limit / 2); });
    measure(limit, "Client::shutdown", [&] { client->shutdown(limit); });
    again(*client);
    measure(limit, "Client::shutdown", [&] { client->shutdown(); });
    again(*client);
    measure(limit, "destructor of a client", [&] { client.reset(); });

    client = started(options(forever));
    measure(destruction, "destructor of a client", [&] { client.reset(); });

    /* With a callback, it waits as `shutdown` does. */
    const milliseconds longer = destruction + milliseconds(500);
    client = std::make_unique<Client>(options(forever).add("shutdown_timeout_ms", longer.count()));
    measure(none, "Client::on_item", [&] { client->on_item([](const mpflags::ItemView&) {}); });
    again(*client);
    measure(longer, "destructor of a client with a callback", [&] { client.reset(); });
}

/* The calls for which a local client does not wait, while threads wait in it. */
void busy() {
    measure(none, "Client::from_json", [] { Client::from_json(options().json()); });
    const auto client = started(options()
                                    .add("shutdown_timeout_ms", limit.count())
                                    .add("definitions", mpflags::Object::from_json(definitions)));
    std::array<std::thread, 2> threads{std::thread([&] { quietly([&] { client->refresh(forever); }); }),
                                       std::thread([&] { quietly([&] { client->flush(forever); }); })};
    for (int i = 0; i < times; i++) {
        /* Another user each time, so that each has an exposure to report. */
        evaluate(evaluation, *client, "u" + std::to_string(i));
        evaluate_table(evaluation, *client);
    }
    const Context user({{"distinct_id", "other"}});
    const auto quiet = client->evaluate("f", user, mpflags::Type::Any, {false});
    measure(none, "Client::track_exposure", [&] { client->track_exposure(quiet); });
    measure(none, "Client::explain", [&] { client->explain("f", user); });
    measure(none, "Client::wait_ready", [&] { client->wait_ready(); });
    measure(none, "Client::start", [&] { client->start(); });
    measure(none, "Client::state", [&] { client->state(); });
    measure(none, "Client::get", [&] { client->get(); });
    measure(none, "Client::statistics", [&] { client->statistics(); });
    measure(none, "Client::exceptions_in_callback", [&] { client->exceptions_in_callback(); });
    measure(none, "Client::set_override", [&] { client->set_override("o", true); });
    measure(none, "Client::clear_override", [&] { client->clear_override("o"); });
    measure(none, "Client::people_update", [&] { client->people_update("$set", "u", mpflags::Object{{"a", 1}}); });
    measure(none, "Client::group_update", [&] {
        client->group_update("$set", "company", "a", mpflags::Object{{"a", 1}});
    });
    measure(none, "Client::refresh", [&] { client->refresh(milliseconds(0)); });
    measure(none, "Client::flush", [&] { client->flush(milliseconds(0)); });
    mpflags::Item item;
    measure(none, "Client::next_item", [&] { client->next_item(item, milliseconds(0)); });
    measure(limit, "Client::shutdown", [&] { client->shutdown(); });
    for (auto& thread : threads) thread.join();
}

void remote() {
    auto client = started(options().add("shutdown_timeout_ms", limit.count()).add("mode", "remote"));
    measure(none, "Client::wait_ready", [&] { client->wait_ready(); });
    measure(none, "Client::refresh", [&] { client->refresh(); });
    evaluate(request, *client, "u");
    const Context user({{"distinct_id", "u"}});
    const mpflags::EvaluateOptions sooner{true, limit};
    measure(limit, "Client::evaluate", [&] { client->evaluate("f", user, mpflags::Type::Any, sooner); });
    measure(limit, "Client::evaluate_json",
            [&] { client->evaluate_json("f", R"({"distinct_id": "u"})", mpflags::Type::Any, sooner); });
    measure(limit, "Client::evaluate_all", [&] { client->evaluate_all(user, limit); });
    /* It is refused, since it would send a request for each row. */
    ArrowArrayStream users = table();
    measure(none, "Client::evaluate_table", [&] { quietly([&] { client->evaluate_table(&users); }); });
    measure(limit, "destructor of a client", [&] { client.reset(); });
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    url = argv[1];
    local();
    busy();
    remote();
}
