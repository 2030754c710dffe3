// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/control/version.hpp"

namespace hamr::control {

std::string_view version() {
    return HAMR_VERSION;
}

}  // namespace hamr::control
