// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/scenarios/script.hpp"

#include "election/membership.hpp"

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <stdexcept>

namespace hamr::scenarios {

using sim::Host;
using sim::World;

namespace {

[[noreturn]] void refuse(const std::string& what) {
    throw std::runtime_error(what);
}

Duration duration(const std::string& text) {
    std::size_t used = 0;
    const double value = std::stod(text, &used);
    const std::string unit = text.substr(used);
    double scale = 0;
    if (unit == "us") scale = 1e3;
    if (unit == "ms") scale = 1e6;
    if (unit == "s") scale = 1e9;
    if (scale == 0) refuse("'" + text + "' is no duration");
    return Duration{static_cast<Duration::rep>(value * scale)};
}

std::vector<std::string> list(const std::string& text) {
    std::vector<std::string> items;
    std::istringstream in(text);
    for (std::string item; std::getline(in, item, ',');) items.push_back(item);
    return items;
}

std::string fixed(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", value);
    return text;
}

}  // namespace

Words::Words(const std::string& line) {
    std::istringstream in(line);
    in >> name_;
    for (std::string word; in >> word;) {
        const std::size_t equals = word.find('=');
        if (equals == std::string::npos) {
            plain_.push_back(word);
        } else {
            values_[word.substr(0, equals)] = word.substr(equals + 1);
        }
    }
}

const std::string& Words::plain(std::size_t i) const {
    if (i >= plain_.size()) refuse("'" + name_ + "' needs more words");
    return plain_[i];
}

bool Words::has(const std::string& key) const {
    return values_.contains(key) || std::find(plain_.begin(), plain_.end(), key) != plain_.end();
}

std::string Words::value(const std::string& key, const std::string& otherwise) const {
    const auto found = values_.find(key);
    return found == values_.end() ? otherwise : found->second;
}

void Script::Ear::acted(const World&, const Host& host, const election::Action& action) {
    if (const auto* send = std::get_if<election::Send>(&action)) {
        newest[host.name] = std::make_shared<const sim::Frame>(send->frame);
    }
}

void Script::Ear::received(const World&, const Host&, const sim::Frame&, int,
                           election::Received result) {
    last = result;
}

World& Script::world() {
    if (!world_) refuse("no 'nodes' yet");
    return *world_;
}

std::size_t Script::host(const std::string& number) const {
    const auto h = static_cast<std::size_t>(std::stoul(number));
    if (!world_ || h < 1 || h > world_->hosts().size()) refuse("there is no node " + number);
    return h - 1;
}

std::string Script::run(const std::string& line) {
    out_.clear();
    const Words words(line);
    try {
        cluster(words);
    } catch (const sim::Violation& violation) {
        say(std::string("VIOLATION ") + violation.what());
    }
    return out_;
}

void Script::cluster(const Words& words) {
    const std::string& name = words.name();
    if (name == "nodes") return nodes(words);
    World& all = world();
    if (name == "run") return all.run_for(duration(words.plain(0)));
    if (name == "cut") return network(words, true);
    if (name == "heal") return network(words, false);
    if (name == "status") return status();
    if (name == "peers") return peers(words);
    if (name == "failover") return failover(words);
    if (name == "record") {
        const std::size_t h = host(words.plain(0));
        recorded_[words.value("as", "it")] = ear_.newest[all.host(h).name];
        return;
    }
    if (name == "replay") return replay(words);
    process(words);
}

void Script::nodes(const Words& words) {
    election::Settings settings;
    settings.cluster = "scenario";
    settings.mode = words.plain(1) == "none" ? election::Mode::none : election::Mode::majority;
    settings.timing.interval = duration(words.value("interval", "10ms"));
    settings.timing.misses = std::stoi(words.value("misses", "3"));
    const std::vector<std::string> witnesses = list(words.value("witness", ""));
    election::GroupSettings group;
    for (int n = 1; n <= std::stoi(words.plain(0)); ++n) {
        const std::string number = std::to_string(n);
        const bool witness =
            std::find(witnesses.begin(), witnesses.end(), number) != witnesses.end();
        settings.nodes.push_back(
            {"n" + number, witness ? election::NodeRole::witness : election::NodeRole::router});
        if (!witness) group.prefer.push_back("n" + number);
    }
    if (words.has("failback")) group.failback = duration(words.value("failback", "0ms"));
    for (const std::string& name : list(words.value("groups", "vip"))) {
        group.name = name;
        settings.groups.push_back(group);
    }
    std::vector<sim::HostOptions> hosts;
    for (const election::NodeSettings& node : settings.nodes) {
        settings.self = node.name;
        hosts.push_back({settings, BootTime{std::chrono::seconds{1000}}, sim::true_rate});
    }
    sim::WorldOptions options;
    options.wire = true;
    options.watch_gates = true;
    options.paths = std::stoi(words.value("paths", "1"));
    const std::size_t count = hosts.size();
    world_ = std::make_unique<World>(options, std::move(hosts));
    trace_ = std::make_unique<sim::Trace>(sim::TraceOptions{.notes = false},
                                          [this](const std::string& line) { say(line); });
    // Two leaders are what none mode does in a partition; the expected text shows it.
    const bool exclusive = settings.mode == election::Mode::majority || words.has("calm");
    invariants_ = std::make_unique<sim::Invariants>(sim::InvariantOptions{.exclusive = exclusive},
                                                    count, settings.groups.size());
    world_->observe(*trace_);
    world_->observe(*invariants_);
    world_->observe(ear_);
    if (words.has("stopped")) return;
    for (std::size_t h = 0; h < count; ++h) world_->start(h);
}

void Script::network(const Words& words, bool cut) {
    World& all = world();
    if (words.count() == 0) return all.network.heal_all();
    const int path = std::stoi(words.value("path", "-1"));
    const std::string& first = words.plain(0);
    const std::size_t arrow = first.find("->");
    if (arrow != std::string::npos) {
        return all.network.cut(host(first.substr(0, arrow)), host(first.substr(arrow + 2)), cut,
                               path);
    }
    const std::size_t a = host(first);
    for (std::size_t b = 0; b < all.hosts().size(); ++b) {
        if (b == a || (words.count() > 1 && b != host(words.plain(1)))) continue;
        all.network.cut(a, b, cut, path);
        all.network.cut(b, a, cut, path);
    }
}

void Script::process(const Words& words) {
    World& all = world();
    const std::string& name = words.name();
    const std::size_t h = host(words.plain(0));
    if (name == "pause") return all.pause(h);
    if (name == "resume") return all.resume(h, words.has("frames-first"));
    if (name == "crash") return all.crash(h);
    if (name == "power-cut") return all.power_cut(h);
    if (name == "start") return restart(words);
    if (name == "reload") return reload(words);
    if (name == "clock") return all.set_rate(h, std::stoi(words.value("rate", "10000")));
    if (name == "health") return health(words);
    if (name == "drain") return all.drain(h, true);
    if (name == "undrain") return all.drain(h, false);
    if (name == "resign") return all.resign(h);
    refuse("'" + name + "' is no command");
}

election::Settings Script::changed(const Words& words, std::size_t h) {
    election::Settings settings = world().host(h).settings;
    if (words.has("interval")) settings.timing.interval = duration(words.value("interval", ""));
    if (words.has("misses")) settings.timing.misses = std::stoi(words.value("misses", ""));
    if (words.has("mode")) {
        settings.mode =
            words.value("mode", "") == "none" ? election::Mode::none : election::Mode::majority;
    }
    for (const std::string& gone : list(words.value("without", ""))) {
        std::erase_if(settings.nodes,
                      [&](const election::NodeSettings& node) { return node.name == "n" + gone; });
        for (election::GroupSettings& group : settings.groups) {
            std::erase(group.prefer, "n" + gone);
        }
    }
    for (const std::string& added : list(words.value("with", ""))) {
        settings.nodes.push_back({"n" + added, world().host(host(added)).role()});
        for (election::GroupSettings& group : settings.groups) group.prefer.push_back("n" + added);
    }
    return settings;
}

void Script::restart(const Words& words) {
    const std::size_t h = host(words.plain(0));
    world().settings(h, changed(words, h));
    world().start(h);
}

void Script::reload(const Words& words) {
    World& all = world();
    const std::size_t h = host(words.plain(0));
    const election::Settings next = changed(words, h);
    if (!all.host(h).running()) return say(all.host(h).name + " does not run");
    const auto status = all.host(h).agent->status(all.host(h).clock.at(all.now()));
    const auto refusal =
        election::judge_step(all.host(h).settings, next, status, words.has("force"));
    if (refusal) {
        say(all.host(h).name + " refuses: " + refusal->why);
    } else {
        all.reload(h, next, duration("5ms"));
    }
}

void Script::health(const Words& words) {
    World& all = world();
    const std::size_t h = host(words.plain(0));
    const auto demotion = static_cast<std::uint32_t>(std::stoul(words.value("demotion", "0")));
    all.demote(h, demotion, words.has("urgent"));
    election::HealthReport report;
    report.demotion = demotion;
    report.begun_at = all.host(h).clock.at(all.now()) - duration(words.value("began", "0ms"));
    report.urgent = words.has("urgent");
    report.reason = words.value("reason", demotion == 0 ? "" : "sick");
    all.health(h, report);
}

void Script::failover(const Words& words) {
    World& all = world();
    election::NodeId target = election::no_node;
    const std::string to = words.value("to", "");
    if (!to.empty()) {
        const auto number = std::stoul(to);
        target = number <= all.hosts().size() ? all.host(host(to)).id : election::node_id("n" + to);
    }
    all.failover(host(words.value("at", "1")), 0, target, words.has("force"));
}

void Script::status() {
    const World& all = world();
    for (const Host& host : all.hosts()) {
        if (!host.running()) {
            say(host.name + " does not run");
            continue;
        }
        const election::Status status = host.agent->status(host.clock.at(all.now()));
        for (std::size_t g = 0; g < status.groups.size(); ++g) {
            const election::GroupStatus& group = status.groups[g];
            std::string line = host.name + " " + group.name + ": " +
                               std::string(election::to_string(group.state)) + ", leader " +
                               sim::node_name(all, group.leader) + ", term " +
                               std::to_string(group.term.value);
            if (group.lease) {
                line += ", lease " + fixed(to_ms(*group.lease)) + " ms, " +
                        std::to_string(group.votes) + " votes of " + std::to_string(group.needed) +
                        " needed";
            }
            if (group.announced) line += ", announced";
            if (all.gate_open(host, g)) line += ", gate open";
            say(line);
        }
    }
}

void Script::peers(const Words& words) {
    const World& all = world();
    const Host& host = all.host(this->host(words.plain(0)));
    if (!host.running()) return say(host.name + " does not run");
    for (const election::NodeStatus& node : host.agent->status(host.clock.at(all.now())).nodes) {
        std::string line = node.name + (node.role == election::NodeRole::witness ? " witness" : "");
        line += node.alive ? " alive" : node.heard ? " silent" : " never heard";
        if (node.demotion != 0) line += " demotion=" + std::to_string(node.demotion);
        if (node.drained) line += " drained";
        if (node.starting) line += " starting";
        if (node.mismatch) line += " mismatch";
        say(line);
    }
}

void Script::replay(const Words& words) {
    World& all = world();
    const std::size_t to = host(words.value("to", "1"));
    const sim::FramePtr frame = recorded_[words.value("frame", "it")];
    if (!frame) refuse("nothing has been recorded under that name");
    all.deliver(to, frame, std::stoi(words.value("path", "0")));
    std::string line = all.host(to).name + " takes the frame of " +
                       sim::node_name(all, frame->sender) + ": " +
                       sim::to_string(ear_.last.verdict);
    if (ear_.last.verdict == election::Verdict::dropped) {
        line += " " + std::string(election::to_string(ear_.last.reason));
    }
    say(line);
}

}  // namespace hamr::scenarios
