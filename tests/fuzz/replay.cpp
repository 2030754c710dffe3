// SPDX-License-Identifier: GPL-2.0-or-later
//
// Runs every target over its corpus, without libFuzzer: what the ctest entry fuzz_corpus does.
//
//   fuzz_corpus FOLDER [TARGET]     the files of FOLDER/TARGET/, for all targets or for one
//
// Each file's name is said before it runs, so that the last line names what ended the program. Exit
// code 1 when a target has no file, or a folder no target.
#include "tests/fuzz/target.hpp"

#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using namespace hamr::fuzz;

const std::array all{&answers, &claim,  &config,   &conntrack, &control, &core,
                     &diag,    &flow,   &frame,    &keys,      &mysql,   &netlink,
                     &note,    &orders, &provider, &snapshot,  &words};

std::string contents(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::set<fs::path> files_of(const fs::path& folder) {
    std::set<fs::path> files;
    std::error_code absent;
    for (const auto& entry : fs::directory_iterator(folder, absent)) files.insert(entry.path());
    return files;
}

/// How many files it has been fed with.
std::size_t replay(const Target& target, const fs::path& folder) {
    // Also what no fuzzer needs to find.
    execute(target, {});
    const std::set<fs::path> files = files_of(folder);
    for (const fs::path& path : files) {
        std::cout << target.name << "/" << path.filename().string() << std::endl;
        const std::string input = contents(path);
        execute(target, std::as_bytes(std::span(input)));
    }
    return files.size();
}

bool is_target(const std::string& name) {
    return std::any_of(all.begin(), all.end(), [&](const Target* t) { return t->name == name; });
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.empty() || words.size() > 2) {
        std::cerr << "usage: fuzz_corpus FOLDER [TARGET]\n";
        return 2;
    }
    const fs::path folder = words[0];
    std::size_t files = 0;
    bool good = true;
    for (const Target* target : all) {
        if (words.size() == 2 && words[1] != target->name) continue;
        const std::size_t fed = replay(*target, folder / target->name);
        if (fed == 0) std::cerr << "no corpus for " << target->name << "\n";
        good = good && fed > 0;
        files += fed;
    }
    for (const fs::path& path : files_of(folder)) {
        if (is_target(path.filename())) continue;
        std::cerr << path << " is of no target\n";
        good = false;
    }
    std::cout << files << " files, " << all.size() << " targets\n";
    return good ? 0 : 1;
}
