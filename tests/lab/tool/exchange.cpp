// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/exchange.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace labtool {

namespace {

constexpr std::uint32_t magic = 0x48414d52;
/// An answer repeats this many bytes of the table, from where its question says.
constexpr std::size_t period = 65536;

/// Bytes without a pattern that a mistake could repeat; the second half is the first again.
const std::vector<std::uint8_t>& table() {
    static const std::vector<std::uint8_t> bytes = [] {
        std::vector<std::uint8_t> made(2 * period);
        std::uint64_t state = 0x9e3779b97f4a7c15;
        for (std::size_t i = 0; i < period; ++i) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            made[i] = made[i + period] = static_cast<std::uint8_t>(state >> 24);
        }
        return made;
    }();
    return bytes;
}

std::size_t start_of(const Question& question) {
    return (question.connection * 40503 + question.number * 9973) % period;
}

template <class T>
void put(std::uint8_t* at, T value) {
    std::memcpy(at, &value, sizeof value);
}

template <class T>
T get(const std::uint8_t* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

}  // namespace

void Question::write(std::vector<std::uint8_t>& out) const {
    out.resize(length);
    put(out.data(), magic);
    put(out.data() + 4, length);
    put(out.data() + 8, answer_length);
    put(out.data() + 16, connection);
    put(out.data() + 24, number);
    std::memcpy(out.data() + header_size, table().data() + start_of(*this), length - header_size);
}

std::optional<Question> Question::read(std::span<const std::uint8_t> bytes) {
    if (get<std::uint32_t>(bytes.data()) != magic) return std::nullopt;
    Question question;
    question.length = get<std::uint32_t>(bytes.data() + 4);
    question.answer_length = get<std::uint64_t>(bytes.data() + 8);
    question.connection = get<std::uint64_t>(bytes.data() + 16);
    question.number = get<std::uint64_t>(bytes.data() + 24);
    if (question.length < header_size || question.length > most) return std::nullopt;
    return question;
}

bool Question::filler_is_right(std::span<const std::uint8_t> bytes) const {
    return std::memcmp(bytes.data() + header_size, table().data() + start_of(*this),
                       length - header_size) == 0;
}

std::span<const std::uint8_t> Question::answer_from(std::uint64_t at) const {
    const std::size_t into = at % period;
    const std::uint64_t rest = answer_length - at;
    // One byte further than the question's own filler: an echo is no answer.
    return {table().data() + (start_of(*this) + 1) % period + into,
            static_cast<std::size_t>(std::min<std::uint64_t>(period - into, rest))};
}

bool Question::answer_is_right(std::uint64_t at, std::span<const std::uint8_t> bytes) const {
    while (!bytes.empty()) {
        if (at >= answer_length) return false;
        const auto piece = answer_from(at);
        const std::size_t size = std::min(piece.size(), bytes.size());
        if (std::memcmp(piece.data(), bytes.data(), size) != 0) return false;
        bytes = bytes.subspan(size);
        at += size;
    }
    return true;
}

hamr::Result<hamr::UniqueFd> ServeExchange::connect() {
    sockaddr_storage storage{};
    socklen_t length = sizeof(sockaddr_in);
    const auto& bytes = to_.address.bytes();
    if (to_.address.is_v4()) {
        auto* address = reinterpret_cast<sockaddr_in*>(&storage);
        address->sin_family = AF_INET;
        address->sin_port = htons(to_.port);
        std::memcpy(&address->sin_addr, bytes.data(), 4);
    } else {
        auto* address = reinterpret_cast<sockaddr_in6*>(&storage);
        address->sin6_family = AF_INET6;
        address->sin6_port = htons(to_.port);
        std::memcpy(&address->sin6_addr, bytes.data(), 16);
        length = sizeof(sockaddr_in6);
    }
    hamr::UniqueFd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return hamr::fail_errno("socket", errno);
    const int on = 1;
    static_cast<void>(::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0 &&
        errno != EINPROGRESS) {
        return hamr::fail_errno("connect " + to_.to_string(), errno);
    }
    return fd;
}

Question ServeExchange::make(std::uint64_t connection, std::uint64_t number) const {
    Question question;
    question.length = question_length_;
    question.answer_length = answer_length_;
    question.connection = connection;
    question.number = number;
    return question;
}

std::span<const std::uint8_t> ServeExchange::question(std::uint64_t connection,
                                                      std::uint64_t number) {
    make(connection, number).write(buffer_);
    return buffer_;
}

bool ServeExchange::right(std::uint64_t connection, std::uint64_t number, std::uint64_t at,
                          std::span<const std::uint8_t> bytes) const {
    return make(connection, number).answer_is_right(at, bytes);
}

}  // namespace labtool
