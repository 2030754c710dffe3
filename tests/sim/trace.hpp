// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "tests/sim/world.hpp"

#include <functional>
#include <string>

// Turns what happens into lines for people: the replay of a failed seed, and the expected output of
// scenario files.

namespace hamr::sim {

struct TraceOptions {
    bool frames = false;  ///< every frame sent and received
    bool notes = true;    ///< faults
};

class Trace : public Observer {
  public:
    using Sink = std::function<void(const std::string&)>;
    Trace(TraceOptions options, Sink sink) : options_(options), sink_(std::move(sink)) {}

    void acted(const World& world, const Host& host, const election::Action& action) override;
    void received(const World& world, const Host& host, const Frame& frame, int path,
                  election::Received result) override;
    void note(const World& world, const std::string& text) override;
    void reported(const World& world, const Host& host, std::size_t group,
                  const vip::Report& report) override;
    void announced(const World& world, const Host& host, std::size_t group) override;
    void gate_ended(const World& world, const Host& host, election::GroupId group) override;

  private:
    void line(const World& world, const std::string& who, const std::string& what);
    void gate(const World& world, const Host& host, const election::SetGate& gate);

    TraceOptions options_;
    Sink sink_;
    /// Which gates were open at the last SetGate: (host, group) as one index.
    std::vector<bool> open_;
};

[[nodiscard]] std::string describe(const World& world, const Frame& frame);
[[nodiscard]] const char* to_string(election::AskResult result);
[[nodiscard]] const char* to_string(election::Verdict verdict);
[[nodiscard]] std::string node_name(const World& world, election::NodeId node);

}  // namespace hamr::sim
