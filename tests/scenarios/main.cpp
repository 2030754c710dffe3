// SPDX-License-Identifier: GPL-2.0-or-later
// scenario [--update] FILE…: runs scenario files and compares what they say with what happens.
#include "tests/scenarios/script.hpp"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace {

struct Played {
    std::string text;  ///< the whole file, with the output that came
    std::vector<std::string> differences;
};

/// A file is made of blocks: commands, `----`, the output, an empty line. Everything else between
/// blocks (comments, empty lines) is kept as it is.
Played play(std::istream& in) {
    Played played;
    hamr::scenarios::Script script;
    std::vector<std::string> commands;
    for (std::string line; std::getline(in, line);) {
        played.text += line + "\n";
        if (line.empty() || line.starts_with('#')) continue;
        if (line != "----") {
            commands.push_back(line);
            continue;
        }
        std::string came;
        for (const std::string& command : commands) came += script.run(command);
        std::string expected;
        while (std::getline(in, line) && !line.empty()) expected += line + "\n";
        if (came != expected) {
            std::string difference;
            for (const std::string& command : commands) difference += "> " + command + "\n";
            difference += "expected:\n" + expected;
            difference += "came:\n" + came;
            played.differences.push_back(difference);
        }
        played.text += came + "\n";
        commands.clear();
    }
    if (!commands.empty()) throw std::runtime_error("the last commands lack a '----'");
    while (played.text.ends_with("\n\n")) played.text.pop_back();
    return played;
}

int play_file(const char* path, bool update) {
    std::ifstream in(path);
    if (!in) {
        std::fprintf(stderr, "scenario: cannot read %s\n", path);
        return 2;
    }
    Played played;
    try {
        played = play(in);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", path, error.what());
        return 2;
    }
    if (update) {
        std::ofstream(path) << played.text;
        return 0;
    }
    for (const std::string& difference : played.differences) {
        std::printf("%s differs\n%s\n", path, difference.c_str());
    }
    if (played.differences.empty()) return 0;
    std::printf("If that is what should happen: scenario --update %s\n", path);
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    bool update = false;
    int worst = argc > 1 ? 0 : 2;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--update") == 0) {
            update = true;
        } else {
            worst = std::max(worst, play_file(argv[i], update));
        }
    }
    return worst;
}
