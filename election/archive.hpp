// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/strong.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

// Values to bytes and back, with one list of members for both directions: a type that can be kept
// has a member template
//
//     template <class Archive> void archive(Archive& kept) { kept(first_, second_); }
//
// which Saver reads and Loader fills. Loader never throws and never allocates more than its bytes
// are long; what does not fit, or was not written by Saver, makes ok() false for good. Bytes are
// for one host and one moment: which version wrote them, and whether they are whole, is for the
// caller to know (election/snapshot.hpp).

namespace hamr {

namespace archive_detail {
template <class T>
inline constexpr bool is_strong = false;
template <class Tag, class T>
inline constexpr bool is_strong<Strong<Tag, T>> = true;
template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class T>
inline constexpr bool is_array = false;
template <class T, std::size_t N>
inline constexpr bool is_array<std::array<T, N>> = true;
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
}  // namespace archive_detail

class Saver {
  public:
    template <class... T>
    void operator()(const T&... values) {
        (one(values), ...);
    }
    [[nodiscard]] Bytes view() const { return out_.view(); }
    [[nodiscard]] std::vector<std::byte> take() { return out_.take(); }

  private:
    template <class T>
    void one(const T& value) {
        using namespace archive_detail;
        if constexpr (std::is_same_v<T, bool>) {
            out_.write(static_cast<std::uint8_t>(value));
        } else if constexpr (std::is_integral_v<T>) {
            out_.write(static_cast<std::uint64_t>(value));
        } else if constexpr (std::is_enum_v<T>) {
            out_.write(static_cast<std::uint64_t>(value));
        } else if constexpr (is_strong<T>) {
            one(value.value);
        } else if constexpr (std::is_same_v<T, Duration>) {
            one(value.count());
        } else if constexpr (std::is_same_v<T, BootTime>) {
            one(value.time_since_epoch());
        } else if constexpr (std::is_same_v<T, std::string>) {
            one(value.size());
            out_.write(std::as_bytes(std::span(value)));
        } else if constexpr (is_vector<T>) {
            one(value.size());
            for (const auto& each : value) one(each);
        } else if constexpr (is_array<T>) {
            for (const auto& each : value) one(each);
        } else if constexpr (is_optional<T>) {
            one(value.has_value());
            if (value) one(*value);
        } else {
            // The list of members is the same for both directions; this one only reads them.
            const_cast<T&>(value).archive(*this);
        }
    }

    ByteWriter out_;
};

class Loader {
  public:
    explicit Loader(Bytes bytes) : in_(bytes) {}

    template <class... T>
    void operator()(T&... values) {
        (one(values), ...);
    }
    [[nodiscard]] bool ok() const { return in_.ok() && sound_; }
    [[nodiscard]] bool at_end() const { return ok() && in_.at_end(); }

  private:
    template <class T>
    void one(T& value) {
        using namespace archive_detail;
        if constexpr (std::is_same_v<T, bool>) {
            const auto truth = in_.read<std::uint8_t>();
            if (truth > 1) sound_ = false;
            value = truth == 1;
        } else if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
            const auto wide = in_.read<std::uint64_t>();
            value = static_cast<T>(wide);
            if (static_cast<std::uint64_t>(value) != wide) sound_ = false;
        } else if constexpr (is_strong<T>) {
            one(value.value);
        } else if constexpr (std::is_same_v<T, Duration>) {
            value = Duration{static_cast<Duration::rep>(in_.read<std::uint64_t>())};
        } else if constexpr (std::is_same_v<T, BootTime>) {
            Duration since{};
            one(since);
            value = BootTime{since};
        } else if constexpr (std::is_same_v<T, std::string>) {
            const Bytes text = in_.take(count());
            value.assign(reinterpret_cast<const char*>(text.data()), text.size());
        } else if constexpr (is_vector<T>) {
            value.clear();
            for (std::size_t left = count(); left > 0 && ok(); --left) one(value.emplace_back());
        } else if constexpr (is_array<T>) {
            for (auto& each : value) one(each);
        } else if constexpr (is_optional<T>) {
            bool present = false;
            one(present);
            value.reset();
            if (present && ok()) one(value.emplace());
        } else {
            value.archive(*this);
        }
    }

    /// How many elements follow: each takes a byte at least.
    std::size_t count() {
        const auto wanted = in_.read<std::uint64_t>();
        if (wanted > in_.left()) sound_ = false;
        return sound_ ? static_cast<std::size_t>(wanted) : 0;
    }

    ByteReader in_;
    bool sound_ = true;
};

}  // namespace hamr
