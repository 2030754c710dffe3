// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "base/unique_fd.hpp"
#include "tests/unit/router/lab_net.hpp"

#include <array>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// A real MariaDB of one test program's own: a data directory made once, a server on a free loopback
// port, ended by its process id,
// and by the kernel if the test program itself is killed.

namespace hamr::lab {

inline bool have_mariadb() {
    return Namespace::run("command -v mariadbd mariadb-install-db >/dev/null 2>&1") == 0;
}

/// A port that was free a moment ago.
inline std::uint16_t free_port() {
    const UniqueFd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    if (::bind(probe.get(), raw, length) != 0) return 0;
    if (::getsockname(probe.get(), raw, &length) != 0) return 0;
    return ntohs(address.sin_port);
}

/// A non-blocking listening socket on 127.0.0.1.
inline UniqueFd listen_on(std::uint16_t port) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int one = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
    if (::listen(fd.get(), 16) != 0) return {};
    return fd;
}

class MariaDb {
  public:
    MariaDb() : port_(free_port()) {
        const std::string data = folder_.path() + "/data";
        installed_ =
            Namespace::run("mariadb-install-db --no-defaults --user=$(id -un) --datadir=" + data +
                           " --skip-test-db --auth-root-authentication-method=normal"
                           " >" +
                           folder_.path() + "/install.log 2>&1") == 0;
        std::ofstream(folder_.path() + "/init.sql")
            << "CREATE OR REPLACE USER hamr@'%' IDENTIFIED BY 'right';\n"
            << "CREATE OR REPLACE USER admin@'%' IDENTIFIED BY 'admin';\n"
            << "GRANT ALL ON *.* TO admin@'%';\n";
    }
    MariaDb(const MariaDb&) = delete;
    MariaDb& operator=(const MariaDb&) = delete;
    ~MariaDb() { end(SIGKILL); }

    /// One for all tests of this program, made on first use.
    static MariaDb* shared() {
        static MariaDb server;
        return &server;
    }

    [[nodiscard]] bool installed() const { return installed_ && port_ != 0; }
    [[nodiscard]] Endpoint endpoint() const { return {IpAddress::v4({127, 0, 0, 1}), port_}; }

    /// For the next start; where a word is said twice the later one counts. `launcher`: words
    /// before the program's name.
    void set_options(std::vector<std::string> options, std::vector<std::string> launcher = {}) {
        options_ = std::move(options);
        launcher_ = std::move(launcher);
    }
    [[nodiscard]] const std::string& folder() const { return folder_.path(); }

    /// Starts the server if it does not run; it answers some tenths of a second later.
    void start() {
        if (pid_ > 0) return;
        const std::string base = folder_.path();
        std::vector<std::string> words{"setpriv",
                                       "--pdeathsig=KILL",
                                       "mariadbd",
                                       "--no-defaults",
                                       "--datadir=" + base + "/data",
                                       "--socket=" + base + "/sock",
                                       "--pid-file=" + base + "/pid",
                                       "--port=" + std::to_string(port_),
                                       "--bind-address=127.0.0.1",
                                       "--init-file=" + base + "/init.sql",
                                       "--log-error=" + base + "/error.log",
                                       "--innodb-buffer-pool-size=8M",
                                       "--skip-name-resolve"};
        if (::geteuid() == 0) words.push_back("--user=root");
        words.insert(words.begin() + 2, launcher_.begin(), launcher_.end());
        words.insert(words.end(), options_.begin(), options_.end());
        std::vector<char*> argv;
        for (std::string& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        if (::posix_spawnp(&pid_, argv[0], nullptr, nullptr, argv.data(), environ) != 0) pid_ = -1;
    }

    void signal(int number) const {
        if (pid_ > 0) ::kill(pid_, number);
    }

    void end(int number) {
        if (pid_ <= 0) return;
        signal(SIGCONT);
        signal(number);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }

    [[nodiscard]] std::string log() const {
        std::ifstream file(folder_.path() + "/error.log");
        return {std::istreambuf_iterator<char>(file), {}};
    }

  private:
    TemporaryFolder folder_;
    std::vector<std::string> options_;
    std::vector<std::string> launcher_;
    std::uint16_t port_;
    bool installed_ = false;
    pid_t pid_ = -1;
};

}  // namespace hamr::lab

#define HAMR_LAB_NEEDS_MARIADB() \
    if (!::hamr::lab::have_mariadb()) GTEST_SKIP() << "needs mariadbd and mariadb-install-db"
