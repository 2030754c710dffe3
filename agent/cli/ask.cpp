// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/ask.hpp"

#include "agent/cli/exit_codes.hpp"
#include "agent/cli/terminal.hpp"
#include "agent/control/client.hpp"
#include "agent/control/json.hpp"
#include "agent/control/routes.hpp"
#include "agent/control/version.hpp"

namespace hamr::cli {

Asked ask(const Invocation& invocation, const char* method, const char* target,
          const std::string& body, std::chrono::seconds timeout) {
    const std::string socket = invocation.value("--socket").value_or(control::default_socket);
    auto response = control::request({socket, timeout}, method, target, body);
    if (!response) {
        print_error(response.error().what, response.error().remedy);
        const bool denied = response.error().kind == control::ClientError::Kind::no_permission;
        return {{}, denied ? exit_no_permission : exit_unreachable};
    }
    if (response->http != 200) {
        const control::ErrorText text = control::parse_error(response->body);
        print_error(text.error, text.remedy);
        const bool bad_file = response->http == control::http_code(control::Outcome::bad_file);
        return {{}, bad_file ? exit_config : exit_failed};
    }
    return {std::move(response->body), std::nullopt};
}

int not_understood(const Error& error) {
    print_error("the agent's answer is not understood: " + error.message(),
                "compare `hamr version` with the version in the agent's log");
    return exit_failed;
}

}  // namespace hamr::cli
