// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/tool/commands.hpp"
#include "tests/lab/tool/process.hpp"

#include <array>
#include <cstdio>
#include <cstring>

// labtool: what the lab's clients, observers and attackers run. It prints JSON, one object a line.
// Its first line is {"event":"ready"} once it sends and listens; a command that measures ends on
// SIGTERM or SIGINT, or after --duration-ms, and prints its result last.

namespace {

constexpr const char* usage =
    R"(usage: labtool COMMAND [--option value ...]

  probe --to IP [--interface eth0] [--interval-us 500] [--duration-ms N] [--threshold-us 2000]
      ICMP echo requests through the kernel's own stack; prints how long nobody answered
  capture --vip IP [--vip IP] [--interface eth0|any] [--ignore IF] [--kinds a,b] [--summary]
      every frame that somebody sends as the VIP: arp-request, arp-reply, garp, na, ip
  arping --to IP [--interface eth0] [--interval-us 10000] [--duration-ms N] [--count N]
      broadcast ARP requests (neighbour solicitations for IPv6); prints who answers, by MAC
  capture-frames --port N --file PCAP [--interface eth0|any]
      records the UDP frames to that port
  replay --file PCAP [--interface eth0] [--times 1] [--interval-us 0] [--to-mac MAC] [--keep-mac]
      sends recorded frames again, addresses as recorded
  send-udp --to IP:PORT --file F [--source IP:PORT --to-mac MAC] [--interface eth0] [--times 1]
      sends the file's bytes as one datagram; with --source from a forged address
  flood --file PCAP --to IP [--interface eth0] [--count 1000000] [--seed 1]
      heartbeats forged after recorded ones to that address, as fast as it goes: replayed, with
      another tag, with nonsense after a true header, garbage
  sql --to IP:PORT [--user U] [--password P] [--query Q] [--mode connect|persistent]
      [--timeout-ms 50] [--interval-us 0] [--duration-ms N] [--threshold-us 2000]
      queries without pause; prints the longest time without a successful one
  sweep --to IP --count N [--interface eth0] [--every-us 20000]
      pings N addresses from this one on, each every 20 ms; prints each one's longest time without
      an answer
  stalls --cpu N [--interval-us 500] [--threshold-us 2000] [--duration-ms N] [--follow]
      when that processor of this machine stood still, and for how long; follow: prints each at once
  serve --port N [--shared] [--relay-from IP ... --relay-to IP:PORT]
      answers what load asks; relays the connections that come from those addresses; shared: with
      other processes on the same port
  load --to IP:PORT [--connections 1] [--question 100] [--answer 200] [--every-us 0]
      [--per-connection N] [--warmup-ms 0] [--duration-ms N] [--grace-ms 0]
      [--statement SQL --user U --password P]
      asks on many connections, verifies each byte, counts every connection at the end
  ask --vip IP [--vip IP] --router MAC [--router MAC ...] [--port 6446] [--interface eth0]
      [--interval-us 10000] [--syn-every 4]
      asks everybody for the VIPs: ARP, ND, and pings and SYNs to each router's MAC; prints answers
  voices --vip IP [--vip IP] [--ignore IF] [--interface any] [--port 8112]
      who speaks as a VIP and who claims to lead in heartbeats to that port, as frames come in
)";

struct Command {
    const char* name;
    int (*run)(labtool::Args);
};

constexpr std::array commands{
    Command{"probe", labtool::probe},   Command{"capture", labtool::capture},
    Command{"arping", labtool::arping}, Command{"capture-frames", labtool::capture_frames},
    Command{"replay", labtool::replay}, Command{"send-udp", labtool::send_udp},
    Command{"sql", labtool::sql},       Command{"stalls", labtool::stalls},
    Command{"serve", labtool::serve},   Command{"load", labtool::load},
    Command{"ask", labtool::ask},       Command{"voices", labtool::voices},
    Command{"sweep", labtool::sweep},   Command{"flood", labtool::flood},
};

}  // namespace

int main(int argc, char** argv) {
    if (argc >= 2) {
        for (const auto& command : commands) {
            if (std::strcmp(command.name, argv[1]) != 0) continue;
            labtool::catch_stop_signals();
            return command.run(labtool::Args(argc - 2, argv + 2,
                                             {"--summary", "--keep-mac", "--shared", "--follow"}));
        }
    }
    std::fputs(usage, stderr);
    return 2;
}
