// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "agent/control/model.hpp"
#include "base/result.hpp"

#include <array>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <boost/json.hpp>

// What both halves of json.hpp (json_status.cpp, json_orders.cpp) are written with: numbers as
// people read them, and a reader that names what does not fit. Private to this room.

namespace hamr::control {

namespace json = boost::json;

/// Milliseconds to the microsecond, at most 1e12; what is no number is null.
[[nodiscard]] json::value milliseconds(double ms);
[[nodiscard]] json::value milliseconds(const std::optional<double>& ms);
[[nodiscard]] json::value time_or_null(const std::optional<WallTime>& time);

template <class T>
[[nodiscard]] json::value or_null(const std::optional<T>& value) {
    if (!value) return nullptr;
    return json::value(*value);
}

/// As json::serialize, but 24.5 instead of 2.45E1: people and grep read this too.
[[nodiscard]] std::string write(const json::value& value);

/// At most max_json_bytes; the error says what is not JSON about it.
Result<json::value> parse_text(std::string_view text);

/// Reads one object; the first thing that does not fit is kept as the error.
class Reader {
  public:
    Reader(const json::value& value, std::string what, std::string& error)
        : object_(value.if_object()), what_(std::move(what)), error_(error) {
        if (object_ == nullptr) note("is not an object");
    }

    [[nodiscard]] const json::value* find(std::string_view key) const {
        return object_ == nullptr ? nullptr : object_->if_contains(key);
    }

    void text(std::string_view key, std::string& out, bool required = false) const {
        const json::value* value = find(key);
        if (value == nullptr) {
            if (required) note("has no \"" + std::string(key) + "\"");
        } else if (const json::string* string = value->if_string()) {
            out.assign(string->data(), string->size());
        } else {
            wrong(key, "a string");
        }
    }

    template <class T>
    void number(std::string_view key, T& out) const {
        const json::value* value = find(key);
        if (value == nullptr) return;
        boost::system::error_code code;
        const T number = value->to_number<T>(code);
        if (code || std::isnan(static_cast<double>(number))) {  // 0e999 is read as none
            wrong(key, "a number in range");
        } else {
            out = number;
        }
    }

    void boolean(std::string_view key, bool& out) const {
        const json::value* value = find(key);
        if (value == nullptr) return;
        if (const bool* boolean = value->if_bool()) {
            out = *boolean;
        } else {
            wrong(key, "true or false");
        }
    }

    [[nodiscard]] bool has(std::string_view key) const {
        const json::value* value = find(key);
        return value != nullptr && !value->is_null();
    }

    void optional_text(std::string_view key, std::optional<std::string>& out) const {
        if (has(key)) text(key, out.emplace());
    }

    template <class T>
    void optional_number(std::string_view key, std::optional<T>& out) const {
        if (has(key)) number(key, out.emplace());
    }

    void time(std::string_view key, std::optional<WallTime>& out) const {
        if (!has(key)) return;
        std::string raw;
        text(key, raw);
        out = parse_time(raw);
        if (!out) wrong(key, "a time like 2026-11-20T06:00:00Z");
    }

    /// A word out of `values`; a word of a newer agent leaves the default.
    template <class E, std::size_t N>
    void word(std::string_view key, const std::array<E, N>& values, E& out) const {
        std::string raw;
        text(key, raw);
        for (const E value : values) {
            if (to_string(value) == raw) out = value;
        }
    }

    template <class F>
    void each_item(std::string_view key, F&& f) const {
        const json::value* value = find(key);
        if (value == nullptr) return;
        const json::array* array = value->if_array();
        if (array == nullptr) return wrong(key, "a list");
        for (const json::value& item : *array) f(item);
    }

    template <class F>
    void each_member(std::string_view key, F&& f) const {
        const json::value* value = find(key);
        if (value == nullptr) return;
        const json::object* object = value->if_object();
        if (object == nullptr) return wrong(key, "an object");
        for (const auto& member : *object) f(std::string(member.key()), member.value());
    }

    void refuse_unknown(std::span<const std::string_view> known) const {
        if (object_ == nullptr) return;
        for (const auto& member : *object_) {
            bool found = false;
            for (const std::string_view key : known) found = found || key == member.key();
            if (!found) note("has an unknown key \"" + std::string(member.key()) + "\"");
        }
    }

    void wrong(std::string_view key, std::string_view expected) const {
        note("\"" + std::string(key) + "\" is not " + std::string(expected));
    }

  private:
    void note(std::string message) const {
        if (error_.empty()) error_ = what_ + " " + std::move(message);
    }

    const json::object* object_;
    std::string what_;
    std::string& error_;
};

/// What was read, unless a Reader found something that does not fit.
template <class T>
Result<T> finish(T value, std::string error) {
    if (!error.empty()) return fail(std::move(error));
    return value;
}

}  // namespace hamr::control
