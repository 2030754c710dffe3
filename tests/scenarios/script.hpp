// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "tests/sim/invariants.hpp"
#include "tests/sim/trace.hpp"
#include "tests/sim/world.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

// Carries out the commands of a scenario file on a simulated cluster and tells what happened.
// README.md of this folder lists the commands. Nothing is random: frames take 100 µs, alarms ring
// on time, an address is announced 200 µs after its node leads.

namespace hamr::scenarios {

/// The words of a command: `cut 1 2` or `nodes 3 majority interval=10ms`.
class Words {
  public:
    explicit Words(const std::string& line);
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] std::size_t count() const { return plain_.size(); }
    [[nodiscard]] const std::string& plain(std::size_t i) const;
    [[nodiscard]] bool has(const std::string& key) const;
    [[nodiscard]] std::string value(const std::string& key, const std::string& otherwise) const;

  private:
    std::string name_;
    std::vector<std::string> plain_;
    std::map<std::string, std::string> values_;
};

/// Throws std::runtime_error for a command that it cannot understand.
class Script {
  public:
    /// The lines that the command brings about, each with its newline.
    [[nodiscard]] std::string run(const std::string& line);

  private:
    /// Remembers the newest frame of everybody, and what became of the last delivery.
    class Ear : public sim::Observer {
      public:
        void acted(const sim::World& world, const sim::Host& host,
                   const election::Action& action) override;
        void received(const sim::World& world, const sim::Host& host, const sim::Frame& frame,
                      int path, election::Received result) override;
        std::map<std::string, sim::FramePtr> newest;
        election::Received last;
    };

    void nodes(const Words& words);
    void cluster(const Words& words);
    void network(const Words& words, bool cut);
    void process(const Words& words);
    void restart(const Words& words);
    void reload(const Words& words);
    /// The host's settings with what a command asks otherwise.
    [[nodiscard]] election::Settings changed(const Words& words, std::size_t h);
    void health(const Words& words);
    void failover(const Words& words);
    void status();
    void peers(const Words& words);
    void replay(const Words& words);
    void say(const std::string& line) { out_ += line + "\n"; }
    [[nodiscard]] sim::World& world();
    [[nodiscard]] std::size_t host(const std::string& number) const;

    std::unique_ptr<sim::World> world_;
    std::unique_ptr<sim::Invariants> invariants_;
    std::unique_ptr<sim::Trace> trace_;
    Ear ear_;
    std::map<std::string, sim::FramePtr> recorded_;
    std::string out_;
};

}  // namespace hamr::scenarios
