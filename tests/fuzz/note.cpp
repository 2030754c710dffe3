// SPDX-License-Identifier: GPL-2.0-or-later
// What an agent notes of the router that it started: nothing is taken for a note but what
// render_note() makes.
#include "router/io/instance_note.hpp"
#include "tests/fuzz/target.hpp"

#include <string>

namespace hamr::fuzz {

namespace {

using namespace hamr::router_io;

void run(Bytes input) {
    const std::string text(as_text(input));
    const auto note = parse_note(text);
    if (!note) return;
    HAMR_ASSERT(note->id.pid >= 0 && !note->boot.empty() && !note->id.marker.empty());
    HAMR_ASSERT(render_note(*note) == text);
}

}  // namespace

const Target note{"note", run, 4096, 64};

}  // namespace hamr::fuzz
