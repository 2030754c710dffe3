// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/args.hpp"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace labtool {

void usage_error(const std::string& what) {
    std::fprintf(stderr, "labtool: %s\n", what.c_str());
    std::exit(2);
}

Args::Args(int argc, char** argv, std::set<std::string> flags) {
    for (int i = 0; i < argc; ++i) {
        Option option{argv[i], {}, false};
        if (!option.name.starts_with("--")) usage_error("unexpected argument " + option.name);
        if (!flags.contains(option.name)) {
            if (i + 1 >= argc) usage_error(option.name + " needs a value");
            option.value = argv[++i];
        }
        options_.push_back(std::move(option));
    }
}

std::vector<std::string> Args::all(std::string_view name) {
    std::vector<std::string> values;
    for (auto& option : options_) {
        if (option.name != name) continue;
        option.used = true;
        values.push_back(option.value);
    }
    return values;
}

bool Args::has(std::string_view name) {
    return !all(name).empty();
}

std::optional<std::string> Args::find(std::string_view name) {
    auto values = all(name);
    if (values.empty()) return std::nullopt;
    return values.back();
}

std::string Args::text(std::string_view name, std::string_view fallback) {
    return find(name).value_or(std::string(fallback));
}

std::string Args::required(std::string_view name) {
    auto value = find(name);
    if (!value) usage_error(std::string(name) + " is required");
    return *value;
}

std::int64_t Args::integer(std::string_view name, std::int64_t fallback) {
    const auto value = find(name);
    if (!value) return fallback;
    std::int64_t number = 0;
    const char* end = value->data() + value->size();
    const auto parsed = std::from_chars(value->data(), end, number);
    if (parsed.ec != std::errc() || parsed.ptr != end) {
        usage_error(std::string(name) + ": not a number: " + *value);
    }
    return number;
}

hamr::IpAddress Args::address(std::string_view name) {
    const std::string value = required(name);
    const auto parsed = hamr::IpAddress::parse(value);
    if (!parsed) usage_error(std::string(name) + ": not an address: " + value);
    return *parsed;
}

hamr::Endpoint Args::endpoint(std::string_view name) {
    const std::string value = required(name);
    const auto parsed = hamr::Endpoint::parse(value);
    if (!parsed) usage_error(std::string(name) + ": not an address and port: " + value);
    return *parsed;
}

void Args::refuse_unknown() const {
    for (const auto& option : options_) {
        if (!option.used) usage_error("unknown option " + option.name);
    }
}

}  // namespace labtool
