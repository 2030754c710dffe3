// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/exchange.hpp"

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include <fcntl.h>
#include <mariadb/mysql.h>
#include <poll.h>
#include <sys/socket.h>

namespace labtool {

namespace {

constexpr unsigned login_seconds = 20;
constexpr int answer_ms = 20'000;
constexpr std::uint8_t com_query = 3;

struct Closer {
    void operator()(MYSQL* connection) const { mysql_close(connection); }
};

/// What has been seen of an answer: packets follow each other until one ends it.
class Answer {
  public:
    std::vector<std::uint8_t> bytes;

    /// True once it is complete; an error when the server refused.
    [[nodiscard]] hamr::Result<bool> complete() {
        while (bytes.size() >= next_ + 5) {
            const std::uint8_t* packet = bytes.data() + next_;
            const std::size_t length = packet[0] | packet[1] << 8 | packet[2] << 16;
            const std::size_t end = next_ + 4 + length;
            if (bytes.size() < end) return false;
            const std::uint8_t kind = packet[4];
            if (kind == 0xff) {
                const std::string text(packet + 7, packet + 4 + length);
                return hamr::fail("the server refuses the statement: " + text);
            }
            // OK instead of a result, or the second of EOFs: after the columns, after the rows.
            if (next_ == 0 && kind == 0) return true;
            if (kind == 0xfe && length < 9 && ++ends_ == 2) return true;
            next_ = end;
        }
        return false;
    }

  private:
    std::size_t next_ = 0;
    int ends_ = 0;
};

}  // namespace

MysqlExchange::MysqlExchange(hamr::Endpoint to, std::string user, std::string password,
                             std::string statement)
    : to_(to), user_(std::move(user)), password_(std::move(password)) {
    const std::size_t length = statement.size() + 1;
    for (const int shift : {0, 8, 16}) {
        question_.push_back(static_cast<std::uint8_t>(length >> shift));
    }
    question_.push_back(0);  // the packet's number: each statement begins anew
    question_.push_back(com_query);
    for (const char c : statement) question_.push_back(static_cast<std::uint8_t>(c));
}

hamr::Result<hamr::UniqueFd> MysqlExchange::connect() {
    const std::unique_ptr<MYSQL, Closer> handle(mysql_init(nullptr));
    const unsigned seconds = login_seconds;
    mysql_options(handle.get(), MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    mysql_options(handle.get(), MYSQL_OPT_READ_TIMEOUT, &seconds);
    if (mysql_real_connect(handle.get(), to_.address.to_string().c_str(), user_.c_str(),
                           password_.c_str(), nullptr, to_.port, nullptr, 0) == nullptr) {
        return hamr::fail("login at " + to_.to_string() + ": " + mysql_error(handle.get()));
    }
    // libmariadb keeps its own descriptor to close: ours is a copy, and its farewell must not be
    // sent.
    hamr::UniqueFd fd(::fcntl(mysql_get_socket(handle.get()), F_DUPFD_CLOEXEC, 0));
    if (!fd) return hamr::fail_errno("dup", errno);
    const hamr::UniqueFd nothing(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::dup2(nothing.get(), mysql_get_socket(handle.get())) < 0) {
        return hamr::fail_errno("dup2", errno);
    }
    static_cast<void>(::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK));
    if (expected_.empty()) {
        if (auto learnt = learn(fd.get()); !learnt) return tl::unexpected(learnt.error());
    }
    return fd;
}

hamr::Result<> MysqlExchange::learn(int fd) {
    if (::send(fd, question_.data(), question_.size(), MSG_NOSIGNAL) < 0) {
        return hamr::fail_errno("send", errno);
    }
    Answer answer;
    std::vector<std::uint8_t> piece(65536);
    for (;;) {
        pollfd poll{fd, POLLIN, 0};
        if (::poll(&poll, 1, answer_ms) <= 0) return hamr::fail("no answer to the statement");
        const ssize_t size = ::recv(fd, piece.data(), piece.size(), 0);
        if (size <= 0) return hamr::fail("the server ended the connection");
        answer.bytes.insert(answer.bytes.end(), piece.begin(), piece.begin() + size);
        const auto complete = answer.complete();
        if (!complete) return tl::unexpected(complete.error());
        if (!*complete) continue;
        expected_ = std::move(answer.bytes);
        return {};
    }
}

std::span<const std::uint8_t> MysqlExchange::question(std::uint64_t, std::uint64_t) {
    return question_;
}

bool MysqlExchange::right(std::uint64_t, std::uint64_t, std::uint64_t at,
                          std::span<const std::uint8_t> bytes) const {
    return at + bytes.size() <= expected_.size() &&
           std::memcmp(expected_.data() + at, bytes.data(), bytes.size()) == 0;
}

}  // namespace labtool
