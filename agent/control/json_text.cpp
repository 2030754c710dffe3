// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/control/json_text.hpp"

#include "agent/control/json.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace hamr::control {

namespace {

void append(const json::value& value, std::string& out) {
    std::string_view gap;
    if (const json::object* object = value.if_object()) {
        out += '{';
        for (const auto& member : *object) {
            out += std::exchange(gap, ",");
            out += json::serialize(json::string_view(member.key())) + ":";
            append(member.value(), out);
        }
        out += '}';
    } else if (const json::array* array = value.if_array()) {
        out += '[';
        for (const json::value& item : *array) {
            out += std::exchange(gap, ",");
            append(item, out);
        }
        out += ']';
    } else if (const double* number = value.if_double()) {
        std::array<char, 512> text{};
        const auto end = std::to_chars(text.data(), text.data() + text.size(), *number,
                                       std::chars_format::fixed);
        out.append(text.data(), end.ptr);
    } else {
        out += json::serialize(value);
    }
}

}  // namespace

json::value milliseconds(double ms) {
    if (std::isnan(ms)) return nullptr;
    // Nobody waits for thirty years; and there is no -0.
    const double sane = std::clamp(ms, -1e12, 1e12);
    return std::round(sane * 1000) / 1000 + 0.0;
}

json::value milliseconds(const std::optional<double>& ms) {
    return ms ? milliseconds(*ms) : json::value(nullptr);
}

json::value time_or_null(const std::optional<WallTime>& time) {
    if (!time) return nullptr;
    return json::value(format_time(*time));
}

std::string write(const json::value& value) {
    std::string out;
    append(value, out);
    return out;
}

Result<json::value> parse_text(std::string_view text) {
    if (text.size() > max_json_bytes) return fail("JSON text is too long");
    boost::system::error_code code;
    json::value value = json::parse(text, code);
    if (code) return fail("not JSON: " + code.message());
    return value;
}

}  // namespace hamr::control
