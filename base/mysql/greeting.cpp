// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/mysql/greeting.hpp"

#include <algorithm>
#include <utility>

namespace hamr::mysql {

namespace {

constexpr std::uint32_t long_password = 1U << 0;
constexpr std::uint32_t protocol_41 = 1U << 9;
constexpr std::uint32_t tls = 1U << 11;
constexpr std::uint32_t transactions = 1U << 13;
constexpr std::uint32_t secure_connection = 1U << 15;
constexpr std::uint32_t plugin_auth = 1U << 19;
constexpr std::uint32_t connect_attributes = 1U << 20;

constexpr std::size_t header_bytes = 4;
/// A server that asks more often for one password is playing with us.
constexpr unsigned most_rounds = 8;
constexpr std::size_t shown_garbage = 32;

/// Reads little-endian numbers and zero-terminated texts; past the end all is zero and !ok().
class Reader {
  public:
    explicit Reader(std::string_view bytes) : left_(bytes) {}

    std::uint32_t number(std::size_t bytes) {
        const std::string_view raw = take(bytes);
        std::uint32_t value = 0;
        for (std::size_t i = raw.size(); i > 0; --i) {
            value = value << 8 | static_cast<std::uint8_t>(raw[i - 1]);
        }
        return value;
    }

    std::string_view text() {
        const auto end = left_.find('\0');
        if (end == std::string_view::npos) {
            ok_ = false;
            return std::exchange(left_, {});
        }
        const std::string_view got = left_.substr(0, end);
        left_.remove_prefix(end + 1);
        return got;
    }

    std::string_view take(std::size_t bytes) {
        if (bytes > left_.size()) {
            ok_ = false;
            left_ = {};
            return {};
        }
        const std::string_view got = left_.substr(0, bytes);
        left_.remove_prefix(bytes);
        return got;
    }

    [[nodiscard]] std::string_view left() const { return left_; }
    [[nodiscard]] bool ok() const { return ok_; }

  private:
    std::string_view left_;
    bool ok_ = true;
};

void put(std::string& out, std::uint32_t value, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) {
        out += static_cast<char>(value & 0xff);
        value >>= 8;
    }
}

std::size_t payload_size(std::string_view header) {
    return Reader(header).number(3);
}

bool begins_with(std::string_view text, std::string_view what) {
    return text.substr(0, what.size()) == what;
}

}  // namespace

bool Greeting::of_mysql_router() const {
    constexpr std::string_view mark = "-router";
    return version.size() >= mark.size() &&
           std::string_view(version).substr(version.size() - mark.size()) == mark;
}

bool Greeting::offers_tls() const {
    return (capabilities & tls) != 0;
}

std::optional<Greeting> parse_greeting(std::string_view payload) {
    Reader reader(payload);
    if (reader.number(1) != 10) return std::nullopt;
    Greeting greeting;
    greeting.version = reader.text();
    greeting.connection = reader.number(4);
    reader.take(8 + 1);  // the first part of the scramble, a filler
    greeting.capabilities = reader.number(2);
    if (!reader.ok() || greeting.version.empty()) return std::nullopt;
    if (reader.left().empty()) return greeting;
    reader.take(1 + 2);  // character set, status
    greeting.capabilities |= reader.number(2) << 16;
    const std::size_t scramble = reader.number(1);
    reader.take(10);
    if (!reader.ok()) return std::nullopt;
    if ((greeting.capabilities & secure_connection) != 0) {
        reader.take(std::max<std::size_t>(13, scramble > 8 ? scramble - 8 : 0));
    }
    if ((greeting.capabilities & plugin_auth) != 0) {
        // Some servers forget the final zero: what is there is the name.
        const std::string_view rest = reader.left();
        greeting.plugin = rest.substr(0, rest.find('\0'));
    }
    return greeting;
}

std::optional<ServerError> parse_error(std::string_view payload) {
    Reader reader(payload);
    if (reader.number(1) != 0xff) return std::nullopt;
    ServerError error;
    error.code = reader.number(2);
    if (!reader.ok()) return std::nullopt;
    std::string_view rest = reader.left();
    if (!rest.empty() && rest.front() == '#' && rest.size() >= 6) {
        error.state = rest.substr(1, 5);
        rest.remove_prefix(6);
    }
    error.message = rest;
    return error;
}

std::string version_in_words(std::string_view version) {
    constexpr std::string_view replication_prefix = "5.5.5-";
    const bool mariadb = version.find("MariaDB") != std::string_view::npos;
    if (mariadb && begins_with(version, replication_prefix)) {
        version.remove_prefix(replication_prefix.size());
    }
    const std::string_view number = version.substr(0, version.find('-'));
    if (mariadb) return "MariaDB " + std::string(number);
    Greeting greeting;
    greeting.version = version;
    if (greeting.of_mysql_router()) return "MySQL Router " + std::string(number);
    return "MySQL " + std::string(number);
}

AnonymousLogin::AnonymousLogin(std::string user) : user_(std::move(user)) {}

std::string AnonymousLogin::feed(std::string_view bytes) {
    std::string reply;
    if (stage_ == Stage::over || bytes.empty()) return reply;
    if (stage_ == Stage::silent) stage_ = Stage::greeting;
    pending_ += bytes;
    while (stage_ != Stage::over && pending_.size() >= header_bytes) {
        const std::size_t size = payload_size(pending_);
        const auto sequence = static_cast<std::uint8_t>(pending_[3]);
        const bool first = !greeting_;
        if (size == 0 || size > max_packet || (first && sequence != 0)) {
            not_mysql(pending_);
            break;
        }
        if (pending_.size() < header_bytes + size) break;
        const std::string payload = pending_.substr(header_bytes, size);
        sequence_ = static_cast<std::uint8_t>(sequence + 1);
        const std::string all = pending_;
        pending_.erase(0, header_bytes + size);
        reply += first ? greeted(payload) : answered(payload);
        if (end_ == End::not_mysql && garbage_.empty()) not_mysql(all);
    }
    return reply;
}

void AnonymousLogin::closed() {
    if (stage_ == Stage::over) return;
    // Another protocol's short line never fills a packet's header.
    if (stage_ == Stage::greeting && !greeting_ && pending_.size() >= header_bytes &&
        payload_size(pending_) > max_packet) {
        return not_mysql(pending_);
    }
    finish(End::broken_off);
}

void AnonymousLogin::finish(End end) {
    end_ = end;
    stage_ = Stage::over;
    pending_.clear();
}

void AnonymousLogin::not_mysql(std::string_view bytes) {
    garbage_ = bytes.substr(0, shown_garbage);
    finish(End::not_mysql);
}

std::string AnonymousLogin::greeted(std::string_view payload) {
    if ((error_ = parse_error(payload))) {
        finish(End::rejected);
        return {};
    }
    greeting_ = parse_greeting(payload);
    if (!greeting_ || (greeting_->capabilities & protocol_41) == 0) {
        greeting_.reset();
        finish(End::not_mysql);
        return {};
    }
    stage_ = Stage::login;
    return packet(login());
}

std::string AnonymousLogin::answered(std::string_view payload) {
    switch (static_cast<std::uint8_t>(payload.front())) {
        case 0x00:
            finish(End::let_in);
            sequence_ = 0;
            return packet("\x01");  // COM_QUIT
        case 0xff:
            error_ = parse_error(payload);
            finish(error_ ? End::refused : End::not_mysql);
            return {};
        case 0xfe: {
            // Another kind of password is wanted: an empty one again, in that kind's way.
            Reader reader(payload.substr(1));
            const std::string_view plugin = reader.text();
            if (++rounds_ > most_rounds) break;
            if (plugin == "mysql_native_password") return packet({});
            return packet(std::string(1, '\0'));
        }
        case 0x01:
            // caching_sha2_password: 3 is "good, an OK follows", all else asks for more.
            if (++rounds_ > most_rounds) break;
            if (payload.size() > 1 && payload[1] == 3) return {};
            return packet(std::string(1, '\0'));
        default:
            break;
    }
    finish(End::not_mysql);
    return {};
}

std::string AnonymousLogin::packet(std::string_view payload) {
    std::string out;
    put(out, static_cast<std::uint32_t>(payload.size()), 3);
    put(out, sequence_, 1);
    return out.append(payload);
}

std::string AnonymousLogin::login() const {
    constexpr std::string_view attribute = "\x0cprogram_name\x05hamrd";
    const std::uint32_t wanted = long_password | protocol_41 | transactions | secure_connection |
                                 plugin_auth | connect_attributes;
    const std::uint32_t flags = wanted & greeting_->capabilities;
    std::string out;
    put(out, flags, 4);
    put(out, max_packet, 4);
    put(out, 33, 1);  // utf8, which every version knows
    out.append(23, '\0');
    out += user_;
    out += '\0';
    out += '\0';  // the empty password: a length, or a text that ends at once
    if ((flags & plugin_auth) != 0) {
        out += greeting_->plugin;
        out += '\0';
    }
    if ((flags & connect_attributes) != 0) {
        put(out, static_cast<std::uint32_t>(attribute.size()), 1);
        out += attribute;
    }
    return out;
}

}  // namespace hamr::mysql
