// SPDX-License-Identifier: GPL-2.0-or-later
// The simulator's command line; README.md of this folder tells how to use it.
#include "tests/sim/run.hpp"

#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

namespace {

using namespace hamr;
using namespace hamr::sim;

struct Arguments {
    std::vector<std::uint64_t> seeds;
    Overrides overrides;
    std::string regressions;  ///< a file of seeds
    std::string replay;       ///< the options that a replay needs
    bool quiet = false;
    bool trace = false;
    bool frames = false;
    bool twice = false;
    int relive = 0;  ///< a second time, with lives that go on in other objects after so many events
    bool keep_going = false;
    bool need_coverage = false;
    int expect = 0;
};

constexpr const char* usage =
    "usage: sim [--seed N | --seeds A..B | --regressions FILE] [--quiet] [--trace] [--frames]\n"
    "           [--mode majority|none] [--nodes N] [--rates LOW,HIGH] [--twice]\n"
    "           [--keep-going] [--safety-only] [--upgrades yes|no] [--machines yes|no]\n"
    "           [--broken late-lease|eager-voter|no-margin|any-echo|early-release|\n"
    "                     forgotten-voters]\n"
    "           [--relive EVENTS] [--need-coverage] [--expect CODE]\n";

std::array<char, 256> last_words{};

// A broken assertion in the core aborts. Say which seed it was, and exit as a harness failure.
extern "C" void on_abort(int) {
    const std::size_t length = std::strlen(last_words.data());
    if (write(STDERR_FILENO, last_words.data(), length) < 0) _exit(13);
    _exit(12);
}

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// "A<separator>B"
std::optional<std::pair<std::uint64_t, std::uint64_t>> pair(std::string_view text,
                                                            std::string_view separator) {
    const std::size_t at = text.find(separator);
    if (at == std::string_view::npos) return std::nullopt;
    const auto a = number(text.substr(0, at));
    const auto b = number(text.substr(at + separator.size()));
    if (!a || !b || *a > *b) return std::nullopt;
    return std::pair{*a, *b};
}

bool set_value(Arguments& arguments, std::string_view option, const char* value) {
    if (option == "--seed") {
        const auto seed = number(value);
        if (seed) arguments.seeds.push_back(*seed);
        arguments.trace |= !arguments.quiet;
        return seed.has_value();
    }
    if (option == "--seeds") {
        const auto range = pair(value, "..");
        if (!range) return false;
        for (std::uint64_t s = range->first; s <= range->second; ++s) arguments.seeds.push_back(s);
        return true;
    }
    if (option == "--regressions") {
        arguments.regressions = value;
        return true;
    }
    if (option == "--expect") {
        arguments.expect = static_cast<int>(number(value).value_or(1));
        return true;
    }
    if (option == "--relive") {
        arguments.relive = static_cast<int>(number(value).value_or(0));
        return arguments.relive > 0;
    }
    arguments.replay += " " + std::string(option) + " " + value;
    if (option == "--upgrades") {
        arguments.overrides.upgrades = std::string_view(value) != "no";
        return true;
    }
    if (option == "--machines") {
        arguments.overrides.machines = std::string_view(value) != "no";
        return true;
    }
    if (option == "--broken") {
        const auto broken = sabotage(value);
        arguments.overrides.broken = broken.value_or(Sabotage::nothing);
        arguments.overrides.mode = election::Mode::majority;
        return broken.has_value();
    }
    if (option == "--mode") {
        arguments.overrides.mode =
            std::string_view(value) == "none" ? election::Mode::none : election::Mode::majority;
        return true;
    }
    if (option == "--nodes") {
        const auto nodes = number(value);
        if (!nodes || *nodes < 2 || *nodes > 7) return false;
        arguments.overrides.nodes = static_cast<int>(*nodes);
        return true;
    }
    if (option == "--rates") {
        const auto rates = pair(value, ",");
        if (!rates || rates->first < 100 || rates->second > 100'000) return false;
        arguments.overrides.rates = {static_cast<int>(rates->first),
                                     static_cast<int>(rates->second)};
        return true;
    }
    return false;
}

std::optional<Arguments> parse(int argc, char** argv) {
    Arguments arguments;
    for (int i = 1; i < argc; ++i) {
        const std::string_view option = argv[i];
        if (option == "--quiet") {
            arguments.quiet = true;
            arguments.trace = false;
        } else if (option == "--trace") {
            arguments.trace = true;
        } else if (option == "--frames") {
            arguments.trace = arguments.frames = true;
        } else if (option == "--twice") {
            arguments.twice = true;
        } else if (option == "--safety-only") {
            arguments.overrides.safety_only = true;
            arguments.replay += " --safety-only";
        } else if (option == "--keep-going") {
            arguments.keep_going = true;
        } else if (option == "--need-coverage") {
            arguments.need_coverage = true;
        } else if (i + 1 < argc && set_value(arguments, option, argv[i + 1])) {
            ++i;
        } else {
            std::fprintf(stderr, "sim: cannot understand '%s'\n%s", argv[i], usage);
            return std::nullopt;
        }
    }
    if (arguments.seeds.empty() && arguments.regressions.empty()) arguments.seeds.push_back(1);
    return arguments;
}

/// The same seed again, now with everything told; the last lines are what matters.
void tell_failure(const Arguments& arguments, const RunOptions& options, const Outcome& outcome) {
    constexpr std::size_t most = 60;
    std::printf("%s\n", describe(options).c_str());
    if (!arguments.trace) {
        std::deque<std::string> lines;
        Telling telling;
        telling.line = [&lines](const std::string& line) {
            lines.push_back(line);
            if (lines.size() > most) lines.pop_front();
        };
        static_cast<void>(run(options, telling));
        std::printf("the last %zu lines of its trace:\n", lines.size());
        for (const std::string& line : lines) std::printf("%s\n", line.c_str());
    }
    std::printf("FAILED: %s\n", outcome.what.c_str());
}

int run_seed(const Arguments& arguments, std::uint64_t seed, Counts& counts) {
    const RunOptions options = draw_options(seed, arguments.overrides);
    const std::string replay = "sim --seed " + std::to_string(seed) + arguments.replay;
    std::snprintf(last_words.data(), last_words.size(), "seed %llu; replay: %s\n",
                  static_cast<unsigned long long>(seed), replay.c_str());
    if (!arguments.quiet) std::printf("%s\n", describe(options).c_str());
    std::fflush(stdout);
    Telling telling;
    telling.frames = arguments.frames;
    if (arguments.trace) {
        telling.line = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
    }
    Outcome outcome = run(options, telling);
    counts.add(outcome.counts);
    if (!outcome.failed && arguments.twice) {
        const Outcome again = run(options, {});
        if (again.digest != outcome.digest) {
            outcome.failed = Violation::Kind::harness;
            outcome.what = "the replay of a seed is another run";
        }
    }
    if (!outcome.failed && arguments.relive > 0) {
        RunOptions relived = options;
        relived.relive = arguments.relive;
        if (run(relived, {}).digest != outcome.digest) {
            outcome.failed = Violation::Kind::harness;
            outcome.what = "a life that goes on in another object is another life";
        }
    }
    if (!outcome.failed) return 0;
    if (arguments.keep_going) {
        std::printf("seed %llu FAILED: %s\n", static_cast<unsigned long long>(seed),
                    outcome.what.c_str());
        return static_cast<int>(*outcome.failed);
    }
    tell_failure(arguments, options, outcome);
    std::printf("replay: %s\n", replay.c_str());
    return static_cast<int>(*outcome.failed);
}

int run_all(const Arguments& arguments) {
    Counts counts;
    int worst = 0;
    for (const std::uint64_t seed : arguments.seeds) {
        const int code = run_seed(arguments, seed, counts);
        if (code != 0 && !arguments.keep_going) return code;
        if (worst == 0) worst = code;
    }
    std::printf("%s\n", counts.text().c_str());
    if (arguments.keep_going) {
        std::printf("simulated %llu ms\n", static_cast<unsigned long long>(counts.simulated_ms));
    }
    const std::string missing = counts.missing();
    if (arguments.need_coverage && !missing.empty()) {
        std::printf("FAILED: these runs have hardly met: %s\n", missing.c_str());
        return 12;
    }
    return worst;
}

/// Lines of the file: a seed, perhaps --mode and the like, then a comment that says what it found.
int run_regressions(const Arguments& common) {
    std::ifstream in(common.regressions);
    if (!in) {
        std::fprintf(stderr, "sim: cannot read %s\n", common.regressions.c_str());
        return 2;
    }
    int lines = 0;
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line.substr(0, line.find('#')));
        // Most are from before there were upgrades and machines; a later one says
        // "--upgrades yes --machines yes".
        std::vector<std::string> all{"sim",        "--quiet", "--upgrades", "no",
                                     "--machines", "no",      "--seed"};
        for (std::string word; words >> word;) all.push_back(word);
        if (all.size() == 7) continue;
        std::vector<char*> argv;
        for (std::string& word : all) argv.push_back(word.data());
        const auto arguments = parse(static_cast<int>(argv.size()), argv.data());
        if (!arguments) return 2;
        const int code = run_all(*arguments);
        if (code != 0) return code;
        ++lines;
    }
    std::printf("%d regressions\n", lines);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const auto arguments = parse(argc, argv);
    if (!arguments) return 2;
    std::signal(SIGABRT, on_abort);
    const int code =
        arguments->regressions.empty() ? run_all(*arguments) : run_regressions(*arguments);
    if (arguments->expect == 0) return code;
    std::printf("expected exit code %d, got %d\n", arguments->expect, code);
    return code == arguments->expect ? 0 : 1;
}
