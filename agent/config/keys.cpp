// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/config/keys.hpp"

#include "agent/config/files.hpp"
#include "base/assert.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <sodium.h>

namespace hamr::config {

namespace {

constexpr std::size_t secret_bytes = 64 * 1024;
constexpr std::string_view blanks = " \t\r";

bool is_key_id(std::string_view id) {
    return !id.empty() && id.size() <= 16 && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_';
    });
}

struct Word {
    std::string_view text;
    int column = 0;
};

/// The blank-separated words of a line, at most three of them: a third is already too many.
std::vector<Word> split(std::string_view line) {
    std::vector<Word> words;
    std::size_t at = line.find_first_not_of(blanks);
    while (at != std::string_view::npos && words.size() < 3) {
        const std::size_t end = std::min(line.find_first_of(blanks, at), line.size());
        words.push_back({line.substr(at, end - at), static_cast<int>(at) + 1});
        at = line.find_first_not_of(blanks, end);
    }
    return words;
}

bool decode(std::string_view base64, Key& key) {
    std::array<unsigned char, 64> raw{};
    std::size_t length = 0;
    const char* end = nullptr;
    const int failed = ::sodium_base642bin(raw.data(), raw.size(), base64.data(), base64.size(),
                                           nullptr, &length, &end, sodium_base64_VARIANT_ORIGINAL);
    const bool good =
        failed == 0 && length == key.bytes.size() && end == base64.data() + base64.size();
    if (good) std::memcpy(key.bytes.data(), raw.data(), key.bytes.size());
    ::sodium_memzero(raw.data(), raw.size());
    return good;
}

void read_key_line(std::string_view line, int number, std::vector<Key>& keys, Report& report) {
    const std::vector<Word> words = split(line);
    if (words.empty() || words.front().text.front() == '#') return;
    if (words.size() != 2) {
        report.problem({number, words.front().column},
                       "a key line must be KEYID BASE64; `hamr keygen` makes one");
        return;
    }
    Key key;
    if (!is_key_id(words[0].text)) {
        report.problem({number, words[0].column},
                       "a KEYID must be 1 to 16 of A-Z a-z 0-9 - _; `hamr keygen` makes one");
        return;
    }
    key.id = words[0].text;
    if (!decode(words[1].text, key)) {
        report.problem(
            {number, words[1].column},
            "the key of " + key.id + " is not 32 bytes in base64; `hamr keygen` makes one");
        return;
    }
    const bool repeated =
        std::any_of(keys.begin(), keys.end(), [&](const Key& other) { return other.id == key.id; });
    if (repeated) {
        report.problem({number, words[0].column},
                       "KEYID " + key.id + " is given twice; remove one of the lines");
    } else if (keys.size() == max_keys) {
        report.problem({number, 1}, "more than 16 keys; remove old ones");
    } else {
        keys.push_back(std::move(key));
    }
}

}  // namespace

std::vector<Key> parse_keys(const std::string& text, const std::string& name) {
    Report report(name);
    std::vector<Key> keys;
    std::string_view rest = text;
    for (int number = 1; !rest.empty(); ++number) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        read_key_line(rest.substr(0, end), number, keys, report);
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (keys.empty() && !report.failed()) {
        report.problem({}, "has no key; make one with: hamr keygen > " + name);
    }
    std::move(report).finish();
    return keys;
}

std::vector<Key> load_keys(const std::string& path) {
    std::string text = read_file(path, secret_bytes, Secrecy::secret);
    std::vector<Key> keys = parse_keys(text, path);
    ::sodium_memzero(text.data(), text.size());
    return keys;
}

std::string load_password(const std::string& path) {
    std::string text = read_file(path, secret_bytes, Secrecy::secret);
    std::string password = text.substr(0, text.find_first_of("\r\n"));
    ::sodium_memzero(text.data(), text.size());
    if (password.empty()) {
        throw ConfigError({{path, {}, "has no password in its first line; write it there"}});
    }
    return password;
}

Key generate_key() {
    HAMR_ASSERT(::sodium_init() >= 0);
    Key key;
    std::array<unsigned char, 4> tail{};
    std::array<char, 9> hex{};
    ::randombytes_buf(key.bytes.data(), key.bytes.size());
    ::randombytes_buf(tail.data(), tail.size());
    ::sodium_bin2hex(hex.data(), hex.size(), tail.data(), tail.size());
    key.id = "k" + std::string(hex.data());
    return key;
}

std::string to_line(const Key& key) {
    std::array<char, sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_ORIGINAL)> text{};
    ::sodium_bin2base64(text.data(), text.size(),
                        reinterpret_cast<const unsigned char*>(key.bytes.data()), key.bytes.size(),
                        sodium_base64_VARIANT_ORIGINAL);
    return key.id + " " + text.data();
}

}  // namespace hamr::config
