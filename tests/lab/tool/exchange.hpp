// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/net/address.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

// What `load` asks and `serve` answers, such that each byte of either can be verified: a question
// names its connection, its number and the length of the answer that it wants, and all bytes after
// that follow from these. `load` can ask a MySQL server instead, whose answer is learnt once.

namespace labtool {

struct Question {
    static constexpr std::size_t header_size = 32;
    static constexpr std::size_t most = 65536;

    /// Of the whole question, header included: header_size to most.
    std::uint32_t length = header_size;
    std::uint64_t answer_length = 0;
    std::uint64_t connection = 0;
    std::uint64_t number = 0;

    /// Writes all `length` bytes.
    void write(std::vector<std::uint8_t>& out) const;
    /// Reads a header; nothing when it is none. `bytes` holds at least header_size.
    [[nodiscard]] static std::optional<Question> read(std::span<const std::uint8_t> bytes);
    /// Whether the bytes after the header are what they should be. `bytes` is the whole question.
    [[nodiscard]] bool filler_is_right(std::span<const std::uint8_t> bytes) const;

    /// The answer's bytes from `at` on: as many as lie in one piece, at most the rest of it.
    [[nodiscard]] std::span<const std::uint8_t> answer_from(std::uint64_t at) const;
    /// Whether `bytes` are the answer's, from `at` on.
    [[nodiscard]] bool answer_is_right(std::uint64_t at, std::span<const std::uint8_t> bytes) const;
};

/// How `load` talks to its server: what it asks, what it expects, how a connection begins.
class Exchange {
  public:
    Exchange() = default;
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;
    virtual ~Exchange() = default;

    /// A non-blocking socket, connected or on its way there (writable once it is).
    [[nodiscard]] virtual hamr::Result<hamr::UniqueFd> connect() = 0;
    /// The bytes of a question; valid until the next call.
    [[nodiscard]] virtual std::span<const std::uint8_t> question(std::uint64_t connection,
                                                                 std::uint64_t number) = 0;
    [[nodiscard]] virtual std::uint64_t answer_length() const = 0;
    /// Whether `bytes` are that answer's, from `at` on.
    [[nodiscard]] virtual bool right(std::uint64_t connection, std::uint64_t number,
                                     std::uint64_t at,
                                     std::span<const std::uint8_t> bytes) const = 0;
};

/// Asks `labtool serve`.
class ServeExchange final : public Exchange {
  public:
    ServeExchange(hamr::Endpoint to, std::uint32_t question_length, std::uint64_t answer_length)
        : to_(to), question_length_(question_length), answer_length_(answer_length) {}

    [[nodiscard]] hamr::Result<hamr::UniqueFd> connect() override;
    [[nodiscard]] std::span<const std::uint8_t> question(std::uint64_t connection,
                                                         std::uint64_t number) override;
    [[nodiscard]] std::uint64_t answer_length() const override { return answer_length_; }
    [[nodiscard]] bool right(std::uint64_t connection, std::uint64_t number, std::uint64_t at,
                             std::span<const std::uint8_t> bytes) const override;

  private:
    [[nodiscard]] Question make(std::uint64_t connection, std::uint64_t number) const;

    hamr::Endpoint to_;
    std::uint32_t question_length_;
    std::uint64_t answer_length_;
    std::vector<std::uint8_t> buffer_;
};

/// Asks a MySQL server the same statement again and again, on the wire. libmariadb logs in, and
/// blocks for that long; after that the bytes are ours. The first answer says what all will be.
class MysqlExchange final : public Exchange {
  public:
    MysqlExchange(hamr::Endpoint to, std::string user, std::string password, std::string statement);

    [[nodiscard]] hamr::Result<hamr::UniqueFd> connect() override;
    [[nodiscard]] std::span<const std::uint8_t> question(std::uint64_t connection,
                                                         std::uint64_t number) override;
    [[nodiscard]] std::uint64_t answer_length() const override { return expected_.size(); }
    [[nodiscard]] bool right(std::uint64_t connection, std::uint64_t number, std::uint64_t at,
                             std::span<const std::uint8_t> bytes) const override;

  private:
    [[nodiscard]] hamr::Result<> learn(int fd);

    hamr::Endpoint to_;
    std::string user_;
    std::string password_;
    std::vector<std::uint8_t> question_;
    std::vector<std::uint8_t> expected_;
};

}  // namespace labtool
