// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/config/url.hpp"

#include "agent/config/reader.hpp"

#include <algorithm>
#include <variant>

namespace hamr::config {

namespace {

constexpr std::uint16_t default_port = 80;

/// "" when `text` is good; fills `url`.
std::string take_apart(std::string_view text, Url& url) {
    constexpr std::string_view scheme = "http://";
    if (text.starts_with("https://")) {
        return "asks for TLS, which this check does not speak; name a plain HTTP port, or use "
               "kind: command";
    }
    if (!text.starts_with(scheme)) {
        return "is not http://ADDRESS:PORT/path, as in http://127.0.0.1:8404/health";
    }
    text.remove_prefix(scheme.size());
    const std::size_t slash = std::min(text.find_first_of("/?#"), text.size());
    const std::string_view authority = text.substr(0, slash);
    const std::string_view path = text.substr(slash);
    if (authority.find('@') != std::string_view::npos) {
        return "has an account in it; name it with user and password_file";
    }
    const bool odd = std::any_of(path.begin(), path.end(), [](char c) {
        return static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f;
    });
    if (odd || path.find('#') != std::string_view::npos) {
        return "has a blank, a # or a character beyond ASCII in its path; write it as %XX";
    }
    url.host = std::string(authority);
    url.path = path.starts_with('/') ? std::string(path) : "/" + std::string(path);
    if (const auto endpoint = Endpoint::parse(authority)) {
        url.target = *endpoint;
        return {};
    }
    const bool bracketed = authority.starts_with('[') && authority.ends_with(']');
    const std::string_view bare = bracketed ? authority.substr(1, authority.size() - 2) : authority;
    const auto address = IpAddress::parse(bare);
    if (address && address->is_v4() != bracketed) {
        url.target = {*address, default_port};
        return {};
    }
    if (address) return "has an IPv6 address without brackets; write http://[2001:db8::1]:80/";
    return "does not name its host by a numeric address; names are not resolved, write it as in "
           "http://127.0.0.1:8404/health";
}

/// "" for one that could not be read: it names nothing.
std::string shown(const Endpoint& target) {
    return target.port == 0 ? std::string() : target.to_string();
}

struct Subject {
    std::string operator()(const health::ProcessProbe& probe) const {
        return probe.process.empty() ? probe.pid_file : probe.process;
    }
    std::string operator()(const health::TcpProbe& probe) const { return shown(probe.target); }
    std::string operator()(const health::MysqlProbe& probe) const { return shown(probe.target); }
    std::string operator()(const health::HttpProbe& probe) const {
        return shown(probe.target) + (probe.path == "/" ? std::string() : probe.path);
    }
    std::string operator()(const health::CommandProbe& probe) const {
        if (probe.argv.empty()) return {};
        return probe.argv.front().substr(probe.argv.front().rfind('/') + 1);
    }
};

}  // namespace

std::optional<Url> read_url(Report& report, const Value& value, std::string_view path) {
    const auto text = read_text(report, value, path);
    if (!text) return std::nullopt;
    Url url;
    const std::string wrong = take_apart(*text, url);
    const bool nobody = url.target.address.is_unspecified() || url.target.address.is_multicast();
    if (wrong.empty() && !nobody) return url;
    report.problem(value.place, std::string(path) + ": \"" + *text + "\" " +
                                    (wrong.empty() ? "is not the address of a server" : wrong));
    return std::nullopt;
}

std::string subject_of(const health::ProbeSpec& probe) {
    return std::visit(Subject{}, probe);
}

}  // namespace hamr::config
