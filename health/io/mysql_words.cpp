// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/io/mysql_words.hpp"

#include "health/text.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace hamr::health_io {

using mysql::AnonymousLogin;
using mysql::ServerError;

namespace {

/// Errors that only a server in working order gives to a stranger: which users there are, and how
/// they must log in, is for it to know.
constexpr std::array taken_part{
    1044U,  // access denied to the database
    1045U,  // access denied
    1251U,  // the client's way of logging in is too old
    1524U,  // the plugin of that user is not loaded
    1698U,  // access denied, without a password
    1820U,  // the password must be changed first
    1862U,  // the password has expired
    3118U,  // the account is locked
    3159U,  // this account, or all, need TLS
    4151U,  // the account is locked (MariaDB)
};

/// What the errors of a server mean that is alive and cannot be used; "" for others.
std::string_view meaning(unsigned code) {
    switch (code) {
        case 1040:
        case 1203:
            return "too many connections";
        case 1047:
            return "the node is not ready (no quorum, or it is a donor)";
        case 1053:
            return "the server is shutting down";
        case 1129:
            return "this host is blocked after too many broken connections (FLUSH HOSTS)";
        case 1130:
            return "this host is not allowed to connect";
        case 2002:
        case 2003:
        case 2013:
        case 9001:
            return "no server can be reached behind it";
        default:
            return "";
    }
}

std::string in_words(const ServerError& error) {
    const std::string said =
        health::printable(error.message, 200) + " (" + std::to_string(error.code) + ")";
    const std::string_view known = meaning(error.code);
    return known.empty() ? said : std::string(known) + ": " + said;
}

health::ProbeResult refused(const AnonymousLogin& login, const std::string& where) {
    const ServerError& error = *login.error();
    const std::string version = mysql::version_in_words(login.greeting()->version);
    const bool denied =
        std::find(taken_part.begin(), taken_part.end(), error.code) != taken_part.end();
    if (!denied) return {false, where + " (" + version + "): " + in_words(error)};
    const bool denial = error.code == 1045 || error.code == 1044 || error.code == 1698;
    const std::string why =
        denial ? "access denied is what was expected"
               : "refused with error " + std::to_string(error.code) + ", as can be expected";
    if (error.message.rfind("ProxySQL", 0) == 0) {
        return {true, where + " answered by itself (" + why +
                          "; ProxySQL): give the check a user to see whether a server is behind"};
    }
    if (!login.greeting()->of_mysql_router()) {
        return {true, "a server answered (" + why + "; " + version + ")"};
    }
    if (error.code == 3159) {
        return {true, where + " answered by itself (it wants TLS; " + version +
                          "): give the check a user to see whether a server is behind"};
    }
    return {true, "a server answered (" + why + "; through " + version + ")"};
}

health::ProbeResult broken_off(const AnonymousLogin& login, const std::string& where) {
    if (login.greeting()) {
        return {false, where + " (" + mysql::version_in_words(login.greeting()->version) +
                           ") greeted and closed before it answered the login"};
    }
    return {false, where + " accepted and closed without a greeting: no server behind it?"};
}

}  // namespace

health::ProbeResult judge(const AnonymousLogin& login, const std::string& where) {
    switch (login.end()) {
        case AnonymousLogin::End::let_in:
            return {true, "a server answered and let hamr-health in (" +
                              mysql::version_in_words(login.greeting()->version) + ")"};
        case AnonymousLogin::End::refused:
            return refused(login, where);
        case AnonymousLogin::End::rejected:
            return {false, where + " answers with an error: " + in_words(*login.error())};
        case AnonymousLogin::End::broken_off:
            return broken_off(login, where);
        case AnonymousLogin::End::not_mysql:
        case AnonymousLogin::End::none:
            break;
    }
    const std::string& bytes = login.garbage();
    const bool x_protocol = bytes.size() > 4 && bytes[0] == 5 && bytes[4] == 11;
    if (x_protocol) return {false, where + " speaks the X Protocol: ask the classic port"};
    return {false, "what " + where + " sends is not MySQL's protocol: \"" +
                       health::printable(bytes, 64) + "\""};
}

std::string stuck(const AnonymousLogin& login, const std::string& where) {
    switch (login.stage()) {
        case AnonymousLogin::Stage::silent:
            return where + " accepted and never greeted";
        case AnonymousLogin::Stage::greeting:
            return where + " began a greeting and did not finish it";
        case AnonymousLogin::Stage::login:
        case AnonymousLogin::Stage::over:
            break;
    }
    const std::string version = login.greeting()
                                    ? mysql::version_in_words(login.greeting()->version)
                                    : std::string("greeted");
    return where + " (" + version + ") did not answer the login";
}

std::string why_failed(const mysql::Failure& failure, const std::string& where) {
    using mysql::FailureKind;
    if (failure.kind == FailureKind::refused) return "connection refused by " + where;
    if (failure.kind == FailureKind::no_route) return "no route to " + where;
    const std::string_view known = meaning(failure.code);
    const bool of_server = mysql::answered(failure.kind);
    if (of_server && !known.empty()) return where + ": " + std::string(known) + ": " + failure.text;
    return where + ": " + failure.text;
}

}  // namespace hamr::health_io
