// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/config/reader.hpp"

#include "agent/config/duration.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>

namespace hamr::config {

namespace {

constexpr std::size_t longest_text = 512;

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::size_t change = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({change, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row[b.size()];
}

std::string quoted(std::string_view text) {
    return "\"" + std::string(text.substr(0, 64)) + (text.size() > 64 ? "…\"" : "\"");
}

}  // namespace

std::string_view nearest_word(std::string_view word, std::span<const std::string_view> known) {
    std::string_view best;
    std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
    if (word.size() > 40) return best;
    for (const std::string_view candidate : known) {
        const std::size_t distance = edit_distance(word, candidate);
        if (distance < best_distance) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

std::string suggestion(std::string_view word, std::span<const std::string_view> known,
                       std::string_view heading) {
    const std::string_view nearest = nearest_word(word, known);
    if (!nearest.empty()) return "; did you mean " + quoted(nearest) + "?";
    std::string text = "; " + std::string(heading);
    for (std::size_t i = 0; i < known.size(); ++i) {
        text += (i == 0 ? " " : ", ") + std::string(known[i]);
    }
    return text;
}

std::vector<const Entry*> distinct_entries(Report& report, const Value& map) {
    std::map<std::string_view, Place> seen;
    std::vector<const Entry*> entries;
    for (const Entry& entry : map.entries) {
        const auto [first, added] = seen.emplace(entry.key, entry.place);
        if (added) {
            entries.push_back(&entry);
        } else {
            report.problem(entry.place, quoted(entry.key) + " is given twice, first in line " +
                                            std::to_string(first->second.line) + "; keep one");
        }
    }
    return entries;
}

Section::Section(Report& report, const Value& map, std::string path_of_map,
                 std::span<const std::string_view> known, const Elsewhere& elsewhere)
    : report_(report), map_(map), path_(std::move(path_of_map)) {
    const auto is_known = [&](std::string_view key) {
        return std::find(known.begin(), known.end(), key) != known.end();
    };
    for (const Entry* entry : distinct_entries(report, map)) {
        if (is_known(entry->key)) continue;
        const std::string why = elsewhere ? elsewhere(entry->key) : std::string();
        if (!why.empty()) {
            report.problem(entry->place, path(entry->key) + " " + why);
        } else if (entry->key == "password" && is_known("password_file")) {
            misspelt_.emplace_back("password_file");
            report.problem(entry->place, path(entry->key) +
                                             ": no secret stands in this file; write it into a "
                                             "file of its own and name that with password_file");
        } else {
            misspelt_.push_back(nearest_word(entry->key, known));
            report.problem(entry->place, "unknown key " + quoted(entry->key) +
                                             suggestion(entry->key, known, "known here:"));
        }
    }
}

const Value* Section::find(std::string_view key) const {
    for (const Entry& entry : map_.entries) {
        if (entry.key == key) return &entry.value;
    }
    return nullptr;
}

const Value* Section::require(std::string_view key, std::string_view example) const {
    const Value* value = find(key);
    const bool misspelt = std::find(misspelt_.begin(), misspelt_.end(), key) != misspelt_.end();
    if (value == nullptr && !misspelt) {
        report_.problem(map_.place,
                        path(key) + " is missing; write, for example: " + std::string(example));
    }
    return value;
}

std::string Section::path(std::string_view key) const {
    return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

bool expect_map(Report& report, const Value& value, std::string_view path,
                std::string_view example) {
    if (value.kind == Value::Kind::map) return true;
    report.problem(value.place, std::string(path) + " must be a map, not " +
                                    std::string(value.kind_name()) +
                                    "; write, for example: " + std::string(example));
    return false;
}

std::optional<std::string> read_text(Report& report, const Value& value, std::string_view path) {
    if (value.kind == Value::Kind::null) {
        report.problem(value.place, std::string(path) + " has no value");
        return std::nullopt;
    }
    if (value.kind != Value::Kind::scalar) {
        report.problem(value.place, std::string(path) + " must be a single value, not " +
                                        std::string(value.kind_name()));
        return std::nullopt;
    }
    const bool control = std::any_of(value.text.begin(), value.text.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
    if (value.text.empty() || value.text.size() > longest_text || control) {
        report.problem(value.place, std::string(path) +
                                        " must be 1 to 512 characters long, without control "
                                        "characters");
        return std::nullopt;
    }
    return value.text;
}

bool check_name(Report& report, Place place, std::string_view name, std::string_view what) {
    const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    const bool good = !name.empty() && name.size() <= 63 && plain(name.front()) &&
                      std::all_of(name.begin(), name.end(), [&](char c) {
                          return plain(c) || c == '_' || c == '.' || c == '-';
                      });
    if (!good) {
        report.problem(place, quoted(name) + " cannot be " + std::string(what) +
                                  "; use 1 to 63 of a-z 0-9 _ . - and begin with a letter or "
                                  "digit (no capitals)");
    }
    return good;
}

std::optional<std::int64_t> read_integer(Report& report, const Value& value, std::string_view path,
                                         std::int64_t low, std::int64_t high) {
    const auto text = read_text(report, value, path);
    if (!text) return std::nullopt;
    std::int64_t number = 0;
    const char* end = text->data() + text->size();
    const auto [stop, error] = std::from_chars(text->data(), end, number);
    if (error != std::errc{} || stop != end || number < low || number > high) {
        report.problem(value.place, std::string(path) + " must be a whole number from " +
                                        std::to_string(low) + " to " + std::to_string(high) +
                                        ", not " + quoted(*text));
        return std::nullopt;
    }
    return number;
}

std::optional<Duration> read_duration(Report& report, const Value& value, std::string_view path,
                                      Duration low, Duration high) {
    const auto text = read_text(report, value, path);
    if (!text) return std::nullopt;
    const auto duration = parse_duration(*text);
    if (!duration) {
        const bool bare = text->find_first_not_of("0123456789.") == std::string::npos;
        report.problem(value.place,
                       bare ? std::string(path) + ": " + *text + " has no unit; write " + *text +
                                  "ms or " + *text + "s (units: us, ms, s, m)"
                            : std::string(path) + ": " + quoted(*text) +
                                  " is not a duration; write, for example, 100ms (units: us, ms, "
                                  "s, m)");
        return std::nullopt;
    }
    if (*duration < low || *duration > high) {
        report.problem(value.place, std::string(path) + " must be from " + format_duration(low) +
                                        " to " + format_duration(high) + ", not " + *text);
        return std::nullopt;
    }
    return duration;
}

std::optional<bool> read_boolean(Report& report, const Value& value, std::string_view path) {
    const auto text = read_text(report, value, path);
    if (!text) return std::nullopt;
    if (*text == "true") return true;
    if (*text == "false") return false;
    report.problem(value.place, std::string(path) + " must be true or false, not " + quoted(*text));
    return std::nullopt;
}

std::optional<std::size_t> read_word(Report& report, const Value& value, std::string_view path,
                                     std::span<const std::string_view> words) {
    const auto text = read_text(report, value, path);
    if (!text) return std::nullopt;
    const auto found = std::find(words.begin(), words.end(), *text);
    if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
    report.problem(value.place, std::string(path) + ": unknown word " + quoted(*text) +
                                    suggestion(*text, words, "choose from"));
    return std::nullopt;
}

std::optional<std::string> read_file_path(Report& report, const Value& value,
                                          std::string_view path) {
    auto text = read_text(report, value, path);
    if (text && text->front() != '/') {
        report.problem(value.place, std::string(path) + ": " + quoted(*text) +
                                        " is not an absolute path; begin it with /");
        return std::nullopt;
    }
    return text;
}

void read_list(Report& report, const Value& value, std::string_view path, std::size_t most,
               const std::function<void(const Value&)>& each) {
    if (value.kind == Value::Kind::map) {
        report.problem(value.place, std::string(path) + " must be a list, not a map");
        return;
    }
    if (value.kind != Value::Kind::list) {
        each(value);
        return;
    }
    if (value.items.empty() || value.items.size() > most) {
        report.problem(value.place, std::string(path) + " must have 1 to " + std::to_string(most) +
                                        " entries, not " + std::to_string(value.items.size()));
        return;
    }
    for (const Value& item : value.items) each(item);
}

}  // namespace hamr::config
