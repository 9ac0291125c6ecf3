/* Runs mpflags-dev as a child process and sends requests to its control port. MPFLAGS_DEV is the path of the program. */
#ifndef MPFLAGS_TESTS_DEV_HPP
#define MPFLAGS_TESTS_DEV_HPP

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

class Dev {
  public:
    explicit Dev(const std::vector<std::string>& arguments = {}) {
        const char* program = std::getenv("MPFLAGS_DEV");
        if (program == nullptr) throw std::runtime_error("MPFLAGS_DEV is not set");
        int in[2];
        int out[2];
        if (pipe(in) != 0 || pipe(out) != 0) throw std::runtime_error("cannot make a pipe");
        child_ = fork();
        if (child_ == 0) {
            dup2(in[0], 0);
            dup2(out[1], 1);
            for (const int end : {in[0], in[1], out[0], out[1]}) close(end);
            std::vector<char*> argv{const_cast<char*>(program), const_cast<char*>("--stop-with-stdin")};
            for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
            argv.push_back(nullptr);
            execv(program, argv.data());
            _exit(127);
        }
        close(in[0]);
        close(out[1]);
        input_ = in[1];
        output_ = fdopen(out[0], "r");
        url_ = address();
        control_ = address();
    }
    Dev(const Dev&) = delete;
    Dev& operator=(const Dev&) = delete;
    ~Dev() {
        close(input_);
        waitpid(child_, nullptr, 0);
        fclose(output_);
    }

    const std::string& url() const { return url_; }

    nlohmann::json get(const std::string& path) const { return nlohmann::json::parse(call("GET", path, "")); }
    void put(const std::string& path, const std::string& body) const { call("PUT", path, body); }
    void remove(const std::string& path) const { call("DELETE", path, ""); }
    void fault(const nlohmann::json& fault) const { put("/__dev/faults", nlohmann::json::array({fault}).dump()); }
    /* Waits for this many events, and returns all received. */
    nlohmann::json events(int at_least) const { return get("/__dev/events?at_least=" + std::to_string(at_least)); }

  private:
    std::string address() {
        char line[256];
        if (fgets(line, sizeof line, output_) == nullptr) throw std::runtime_error("mpflags-dev did not start");
        std::string text(line);
        text.erase(text.find_last_not_of('\n') + 1);
        return text.substr(text.find("http://"));
    }

    std::string call(const std::string& method, const std::string& path, const std::string& body) const {
        const int port = std::stoi(control_.substr(control_.rfind(':') + 1));
        const int connection = socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(static_cast<std::uint16_t>(port));
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(connection, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
            close(connection);
            throw std::runtime_error("cannot connect to mpflags-dev");
        }
        const std::string request = method + " " + path +
                                    " HTTP/1.0\r\nhost: localhost\r\ncontent-length: " + std::to_string(body.size()) +
                                    "\r\n\r\n" + body;
        for (std::size_t sent = 0; sent < request.size();) {
            const ssize_t count = send(connection, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
            if (count <= 0) break;
            sent += static_cast<std::size_t>(count);
        }
        std::string response;
        char part[4096];
        for (ssize_t count; (count = recv(connection, part, sizeof part, 0)) > 0;) {
            response.append(part, static_cast<std::size_t>(count));
        }
        close(connection);
        const std::size_t head = response.find("\r\n\r\n");
        if (head == std::string::npos || response.compare(9, 1, "2") != 0) {
            throw std::runtime_error(method + " " + path + ": " + response);
        }
        return response.substr(head + 4);
    }

    pid_t child_ = -1;
    int input_ = -1;
    FILE* output_ = nullptr;
    std::string url_;
    std::string control_;
};

#endif
