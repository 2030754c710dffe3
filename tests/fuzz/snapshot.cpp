// SPDX-License-Identifier: GPL-2.0-or-later
// One life of the agent as bytes (election/snapshot.hpp), and the archive that it is written with:
// what is accepted is written back as the same bytes. Restored lives come from a file in memory
// whose checksum fits, so the payload alone is what is guessed here.
#include "election/snapshot.hpp"

#include "election/archive.hpp"
#include "election/election.hpp"
#include "tests/fuzz/target.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace hamr::fuzz {

namespace {

using namespace hamr::election;

enum class Small : std::uint8_t { one, two };

/// One of each that an archive can hold.
struct All {
    bool truth = false;
    std::int32_t number = 0;
    std::uint8_t byte = 0;
    Small small = Small::one;
    Term term;
    Duration duration{};
    BootTime time;
    std::string text;
    std::vector<std::vector<std::uint16_t>> lists;
    std::array<std::optional<bool>, 2> perhaps{};

    template <class Archive>
    void archive(Archive& kept) {
        kept(truth, number, byte, small, term, duration, time, text, lists, perhaps);
    }
};

Settings settings() {
    Settings made;
    made.cluster = "c";
    made.self = "a";
    made.nodes = {{"a", NodeRole::router}, {"b", NodeRole::router}, {"w", NodeRole::witness}};
    made.groups = {{"g", {"a", "b"}, std::nullopt}};
    made.mode = Mode::majority;
    made.timing = {std::chrono::milliseconds(10), 3};
    return made;
}

constexpr std::uint32_t version = snapshot_version;
constexpr BootTime now{std::chrono::hours(1)};
/// Where the settings stand in a snapshot, behind version and boot.
constexpr std::ptrdiff_t settings_at = 4 + 8;
constexpr std::ptrdiff_t settings_end = settings_at + 127;

std::unique_ptr<Election> begun() {
    auto life = std::make_unique<Election>(settings(), BootId{1}, now);
    static_cast<void>(life->take_actions());
    return life;
}

void restore(Bytes payload) {
    const std::vector<std::byte> sealed = seal_snapshot(version, payload);
    const auto life = Election::restore(settings(), sealed, now);
    if (!life) {
        HAMR_ASSERT(!life.error().what.empty());
        return;
    }
    // Under other settings it may have something to do first.
    if (!(*life)->take_actions().empty()) return;
    const std::vector<std::byte> saved = (*life)->save();
    const auto again = Election::restore(settings(), saved, now);
    HAMR_ASSERT(again && (*again)->save() == saved);
    // A life of other settings, one step apart, goes on under these.
    const std::vector<std::byte> fresh = begun()->save();
    if (!std::equal(fresh.begin() + settings_at, fresh.begin() + settings_end,
                    sealed.begin() + settings_at)) {
        return;
    }
    // All but what follows from the time: when it is, and when the next frame is due.
    HAMR_ASSERT(saved.size() == sealed.size());
    const std::size_t body = sealed.size() - 32;
    std::size_t changed = 0;
    for (std::size_t i = 0; i < body; ++i) changed += saved[i] != sealed[i] ? 1U : 0U;
    HAMR_ASSERT(changed <= 2 * sizeof(std::uint64_t));
}

void run(Bytes input) {
    if (const auto payload = open_snapshot(version, input)) {
        HAMR_ASSERT(same(seal_snapshot(version, *payload), input));
        restore(*payload);
    }
    restore(input);

    Loader loader(input);
    All all;
    loader(all);
    if (!loader.at_end()) return;
    Saver saver;
    saver(all);
    HAMR_ASSERT(same(saver.view(), input));
}

}  // namespace

const Target snapshot{"snapshot", run, 512 << 10, 512};

}  // namespace hamr::fuzz
