// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "tests/lab/tool/args.hpp"

// The commands of labtool, one file each; each returns the program's exit code.

namespace labtool {

int probe(Args args);
int capture(Args args);
int arping(Args args);
int capture_frames(Args args);
int replay(Args args);
int send_udp(Args args);
int flood(Args args);
int sql(Args args);
int stalls(Args args);
int sweep(Args args);
int serve(Args args);
int load(Args args);
int ask(Args args);
int voices(Args args);

}  // namespace labtool
