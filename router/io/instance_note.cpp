// SPDX-License-Identifier: GPL-2.0-or-later
#include "router/io/instance_note.hpp"

#include "base/unique_fd.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hamr::router_io {

namespace {

constexpr std::size_t max_note = 1 << 20;
constexpr std::string_view heading = "hamr-instance 1";

std::string hex(std::string_view bytes) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

/// One line a value: line ends and the sign itself as %NN.
std::string escape(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '%' || c == '\n' || c == '\r') {
            out += "%" + hex(std::string_view(&c, 1));
        } else {
            out += c;
        }
    }
    return out;
}

std::optional<std::string> unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        unsigned byte = 0;
        const std::string_view digits = text.substr(i + 1, 2);
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
        if (error != std::errc{} || digits.size() != 2 || end != digits.data() + 2) {
            return std::nullopt;
        }
        out += static_cast<char>(byte);
        i += 2;
    }
    return out;
}

template <class Number>
bool parse_number(std::string_view text, Number& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size();
}

bool apply(InstanceNote& note, std::string_view key, const std::string& value) {
    if (key == "boot") {
        note.boot = value;
    } else if (key == "pid") {
        return parse_number(value, note.id.pid) && note.id.pid >= 0;
    } else if (key == "start") {
        return parse_number(value, note.id.start);
    } else if (key == "marker") {
        note.id.marker = value;
    } else if (key == "user") {
        note.user = value;
    } else if (key == "argv") {
        note.argv.push_back(value);
    } else {
        return false;
    }
    return true;
}

}  // namespace

std::string render_note(const InstanceNote& note) {
    std::string text = std::string(heading) + "\n";
    text += "boot=" + escape(note.boot) + "\n";
    text += "pid=" + std::to_string(note.id.pid) + "\n";
    text += "start=" + std::to_string(note.id.start) + "\n";
    text += "marker=" + escape(note.id.marker) + "\n";
    text += "user=" + escape(note.user) + "\n";
    for (const std::string& word : note.argv) text += "argv=" + escape(word) + "\n";
    return text + "end\n";
}

std::optional<InstanceNote> parse_note(const std::string& text) {
    std::string_view rest = text;
    InstanceNote note;
    bool first = true;
    while (!rest.empty()) {
        const std::size_t end = rest.find('\n');
        if (end == std::string_view::npos) return std::nullopt;
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(end + 1);
        if (first) {
            if (line != heading) return std::nullopt;
            first = false;
            continue;
        }
        if (line == "end") {
            const bool whole = !note.boot.empty() && !note.id.marker.empty();
            // Numbers, escapes and orders that we do not write are another's.
            return whole && render_note(note) == text ? std::optional(note) : std::nullopt;
        }
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos) return std::nullopt;
        const auto value = unescape(line.substr(equals + 1));
        if (!value || !apply(note, line.substr(0, equals), *value)) return std::nullopt;
    }
    return std::nullopt;
}

std::optional<InstanceNote> load_note(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!fd) return std::nullopt;
    std::string text;
    std::array<char, 4096> piece;
    while (text.size() <= max_note) {
        const ssize_t n = ::read(fd.get(), piece.data(), piece.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        text.append(piece.data(), static_cast<std::size_t>(n));
    }
    auto note = parse_note(text);
    if (note && note->boot == boot_id()) return note;
    remove_note(path);
    return std::nullopt;
}

Result<> save_note(const std::string& path, const InstanceNote& note) {
    const std::string fresh = path + ".new";
    ::unlink(fresh.c_str());
    const UniqueFd fd(
        ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return fail_errno("write " + fresh, errno);
    const std::string text = render_note(note);
    std::size_t written = 0;
    while (written < text.size()) {
        const ssize_t n = ::write(fd.get(), text.data() + written, text.size() - written);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail_errno("write " + fresh, errno);
        written += static_cast<std::size_t>(n);
    }
    // Not synced: after a power cut the boot id no longer fits, whatever the file says.
    if (::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno("write " + path, errno);
    return {};
}

void remove_note(const std::string& path) {
    ::unlink(path.c_str());
}

std::string make_marker() {
    std::array<char, 16> bytes{};
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return "";
    return hex(std::string_view(bytes.data(), bytes.size()));
}

}  // namespace hamr::router_io
