// SPDX-License-Identifier: GPL-2.0-or-later
// What a server, or something that is none, says before a login has ended: it does not matter in
// which pieces it comes; every answer is whole packets; the other side cannot make us talk for
// ever.
#include "base/mysql/greeting.hpp"
#include "tests/fuzz/target.hpp"

#include <string>
#include <tuple>

namespace hamr::fuzz {

namespace {

using namespace hamr::mysql;

struct Talk {
    AnonymousLogin login{"nobody"};
    std::string said;

    Talk(std::string_view input, std::size_t piece) {
        for (; !input.empty(); input.remove_prefix(std::min(piece, input.size()))) {
            said += login.feed(input.substr(0, piece));
        }
        login.closed();
    }
};

bool is_packets(std::string_view said) {
    while (said.size() >= 4) {
        const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(said[i]); };
        const std::size_t size =
            4 + (byte(0) | std::size_t{byte(1)} << 8 | std::size_t{byte(2)} << 16);
        if (size > said.size()) return false;
        said.remove_prefix(size);
    }
    return said.empty();
}

bool equal(const AnonymousLogin& a, const AnonymousLogin& b) {
    const auto greeting = [](const AnonymousLogin& login) {
        const Greeting g = login.greeting().value_or(Greeting{});
        return std::tuple(login.greeting().has_value(), g.version, g.connection, g.capabilities,
                          g.plugin);
    };
    const auto error = [](const AnonymousLogin& login) {
        const ServerError e = login.error().value_or(ServerError{});
        return std::tuple(login.error().has_value(), e.code, e.state, e.message);
    };
    return a.stage() == b.stage() && a.end() == b.end() && greeting(a) == greeting(b) &&
           error(a) == error(b);
}

void run(Bytes input) {
    const std::string_view bytes = as_text(input);
    const Talk whole(bytes, bytes.size() + 1);
    for (const std::size_t piece : {1, 7}) {
        const Talk pieces(bytes, piece);
        HAMR_ASSERT(equal(whole.login, pieces.login) && whole.said == pieces.said);
    }
    HAMR_ASSERT(is_packets(whole.said));
    HAMR_ASSERT(whole.said.size() <= 16 * 64 + max_packet);
    HAMR_ASSERT(whole.login.stage() == AnonymousLogin::Stage::over);
    HAMR_ASSERT(whole.login.end() != AnonymousLogin::End::none);
    HAMR_ASSERT(whole.login.garbage().size() <= 32);
    if (const auto greeting = parse_greeting(bytes)) {
        HAMR_ASSERT(greeting->version.size() + greeting->plugin.size() <= bytes.size());
        HAMR_ASSERT(version_in_words(greeting->version).size() <= bytes.size() + 16);
    }
    if (const auto error = parse_error(bytes)) {
        HAMR_ASSERT(error->state.empty() || error->state.size() == 5);
        HAMR_ASSERT(error->message.size() < bytes.size());
    }
}

}  // namespace

const Target mysql{"mysql", run, 256 << 10, 32};

}  // namespace hamr::fuzz
