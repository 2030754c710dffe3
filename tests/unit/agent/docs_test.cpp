// SPDX-License-Identifier: GPL-2.0-or-later
// What the documentation shows is what the program accepts.
#include "agent/cli/commands.hpp"
#include "agent/config/config.hpp"

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace hamr::config {
namespace {

std::string read(const std::string& name) {
    std::ostringstream text;
    text << std::ifstream(std::string(HAMR_DOCS) + "/" + name).rdbuf();
    return text.str();
}

/// The texts between `open` and `close` that begin with `key`: whole configurations, or a part.
std::vector<std::string> examples(const std::string& text, const std::string& open,
                                  const std::string& close, const std::string& key = "cluster:") {
    std::vector<std::string> found;
    std::size_t at = 0;
    while ((at = text.find(open + key, at)) != std::string::npos) {
        at += open.size();
        found.push_back(text.substr(at, text.find(close, at) - at));
    }
    return found;
}

TEST(Documentation, ExampleConfigurationsAreGood) {
    const auto manual = examples(read("configuration.md"), "```yaml\n", "```");
    const auto man = examples(read("man/hamr.yaml.5"), "offset indent\n", ".Ed");
    EXPECT_EQ(manual.size(), 3U);
    EXPECT_EQ(man.size(), 1U);
    for (const auto& list : {manual, man}) {
        for (const std::string& example : list) EXPECT_NO_THROW(parse(example, "example"));
    }
}

TEST(Documentation, ExamplesOfARouterAreGood) {
    const auto parts = examples(read("man/hamr.yaml.5"), "offset indent\n", ".Ed", "router:");
    EXPECT_EQ(parts.size(), 2U);
    for (const std::string& part : parts) {
        EXPECT_NO_THROW(
            parse("cluster: c\nnodes: {a: 192.0.2.1, b: 192.0.2.2}\nkey_file: /k\n"
                  "vip: 192.0.2.100/24\n" +
                      part,
                  "example"));
    }
}

TEST(Documentation, EveryKeyOfRoutersAndChecksIsInManualAndManPage) {
    const std::string manual = read("configuration.md");
    const std::string page = read("man/hamr.yaml.5");
    for (const char* key :
         {"config",       "program",       "arguments", "admin",          "unit",
          "command",      "user",          "start",     "reload_command", "start_timeout",
          "stop_timeout", "drain_timeout", "name",      "interval",       "timeout",
          "jitter",       "rise",          "fall",      "weight",         "fatal",
          "process",      "pid_file",      "target",    "query",          "tls",
          "ca_file",      "url",           "status",    "contains",       "password_file",
          "warning_is_up"}) {
        EXPECT_THAT(manual, testing::HasSubstr("`" + std::string(key) + "`"));
        EXPECT_THAT(page,
                    testing::ContainsRegex("\\.(It )?(Cm|Op Cm) ([a-z_]+ , )*" + std::string(key)));
    }
}

TEST(Documentation, EveryCommandAndOptionIsInTheManPage) {
    const std::string page = read("man/hamr.1");
    for (const cli::Command& command : cli::all_commands()) {
        EXPECT_NE(page.find(".Cm " + std::string(command.name)), std::string::npos) << command.name;
        for (const cli::Option& option : command.options) {
            const std::string flag = "Fl -" + std::string(option.name.substr(2));
            EXPECT_NE(page.find(flag), std::string::npos) << option.name;
        }
    }
}

}  // namespace
}  // namespace hamr::config
