// SPDX-License-Identifier: GPL-2.0-or-later
#include "vip/gate/gate.hpp"

#include "base/assert.hpp"
#include "base/unique_fd.hpp"
#include "vip/gate/filters.hpp"
#include "vip/gate/gate_abi.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "gate.skel.h"

namespace hamr::vip {

namespace {

constexpr std::string_view name_prefix = "hamr_gate_";

// --- libbpf's words ------------------------------------------------------------------------------

/// libbpf has one print function for the whole process and no context for it, so each thread
/// collects what is said while it is inside.
thread_local std::string* collected = nullptr;

int collect(libbpf_print_level level, const char* format, va_list arguments) {
    if (collected == nullptr || level == LIBBPF_DEBUG) return 0;
    std::array<char, 512> line{};
    const int size = std::vsnprintf(line.data(), line.size(), format, arguments);
    constexpr std::size_t enough = 4096;
    if (size > 0 && collected->size() < enough) *collected += line.data();
    return size;
}

class Listening {
  public:
    Listening() : before_(::libbpf_set_print(&collect)) { collected = &text_; }
    ~Listening() {
        collected = nullptr;
        ::libbpf_set_print(before_);
    }
    Listening(const Listening&) = delete;
    Listening& operator=(const Listening&) = delete;

    /// The first line, which is the one that tells.
    [[nodiscard]] std::string text() const {
        const auto line = text_.substr(0, text_.find('\n'));
        return line.empty() ? "" : " (" + line + ")";
    }

  private:
    libbpf_print_fn_t before_;
    std::string text_;
};

// --- errors --------------------------------------------------------------------------------------

bool kernel_is_older(int wanted_major, int wanted_minor) {
    utsname system{};
    int major = 0;
    int minor = 0;
    if (::uname(&system) != 0) return false;
    if (std::sscanf(system.release, "%d.%d", &major, &minor) != 2) return false;
    return std::pair(major, minor) < std::pair(wanted_major, wanted_minor);
}

tl::unexpected<Error> load_error(int error, const std::string& said) {
    if (error == EPERM || error == EACCES) {
        return fail_errno("the gate needs CAP_BPF and CAP_NET_ADMIN" + said, error);
    }
    if (error == ENOSYS) {
        return fail_errno("the gate needs BPF in the kernel (CONFIG_BPF_SYSCALL)", error);
    }
    if (kernel_is_older(5, 8)) {
        return fail_errno("the gate needs Linux 5.8 or newer" + said, error);
    }
    return fail_errno("the kernel refuses the gate's program" + said, error);
}

std::string label(InterfaceIndex index) {
    std::array<char, IF_NAMESIZE> name{};
    if (::if_indextoname(static_cast<unsigned>(index.value), name.data()) == nullptr) {
        return "interface " + std::to_string(index.value);
    }
    return name.data();
}

tl::unexpected<Error> attach_error(InterfaceIndex index, int error, const std::string& said) {
    const std::string what = "attach the gate to " + label(index);
    if (error == EPERM) return fail_errno(what + " (needs CAP_NET_ADMIN)", error);
    if (error == ENOENT || error == EOPNOTSUPP) {
        return fail_errno(what + ": needs clsact and BPF filters in the kernel " +
                              "(CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_BPF)",
                          error);
    }
    return fail_errno(what + said, error);
}

// --- filters -------------------------------------------------------------------------------------

bool ours(const Filter& filter) {
    return filter.handle == Gate::handle && filter.kind == "bpf" &&
           filter.name.starts_with(name_prefix);
}

bpf_tc_hook hook_of(InterfaceIndex index, bpf_tc_attach_point point) {
    bpf_tc_hook hook{};
    hook.sz = sizeof hook;
    hook.ifindex = index.value;
    hook.attach_point = point;
    return hook;
}

bpf_tc_opts options(std::uint32_t priority) {
    bpf_tc_opts opts{};
    opts.sz = sizeof opts;
    opts.handle = Gate::handle;
    opts.priority = priority;
    return opts;
}

/// Whether frames of this interface begin with an Ethernet header.
Result<bool> has_ethernet_header(InterfaceIndex index) {
    ifreq request{};
    if (::if_indextoname(static_cast<unsigned>(index.value), request.ifr_name) == nullptr) {
        return fail_errno("attach the gate to interface " + std::to_string(index.value), errno);
    }
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd || ::ioctl(fd.get(), SIOCGIFHWADDR, &request) != 0) {
        return fail_errno("ask for the kind of " + label(index), errno);
    }
    const auto type = request.ifr_hwaddr.sa_family;
    return type == ARPHRD_ETHER || type == ARPHRD_LOOPBACK;
}

/// How many gates were taken off.
Result<int> take_off(InterfaceIndex index) {
    const Listening listening;
    auto filters = list_filters(index, FilterSide::egress);
    if (!filters) return tl::unexpected(filters.error());
    const auto foreign = std::stable_partition(filters->begin(), filters->end(), ours);
    if (foreign == filters->begin()) return 0;
    bpf_tc_hook hook = hook_of(index, BPF_TC_EGRESS);
    for (auto it = filters->begin(); it != foreign; ++it) {
        const bpf_tc_opts opts = options(it->priority);
        const int error = -::bpf_tc_detach(&hook, &opts);
        if (error > 0 && error != ENOENT && error != ENODEV) {
            return fail_errno("take the gate off " + label(index) + listening.text(), error);
        }
    }
    const auto ingress = list_filters(index, FilterSide::ingress);
    if (foreign == filters->end() && ingress && ingress->empty()) {
        hook.attach_point =
            static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);  // clsact as a whole
        ::bpf_tc_hook_destroy(&hook);
    }
    return static_cast<int>(foreign - filters->begin());
}

std::uint64_t nanoseconds(BootTime instant) {
    return static_cast<std::uint64_t>(
        std::max<Duration::rep>(0, instant.time_since_epoch().count()));
}

std::uint32_t program_id(int fd) {
    bpf_prog_info info{};
    std::uint32_t size = sizeof info;
    return ::bpf_obj_get_info_by_fd(fd, &info, &size) == 0 ? info.id : 0;
}

}  // namespace

struct Gate::State {
    hamr_gate* skeleton = nullptr;
    hamr_gate_group* groups = nullptr;
    std::size_t mapped = 0;
    std::size_t count = 0;
    std::uint32_t ether_id = 0;
    std::uint32_t bare_id = 0;
    /// Of the skeleton, or adopted.
    GateHandles handles;
    std::array<UniqueFd, 4> adopted;

    State() = default;
    ~State() {
        if (groups != nullptr) ::munmap(groups, mapped);
        ::hamr_gate__destroy(skeleton);
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    Result<> load(std::size_t v4, std::size_t v6);
    void identify();
    Result<> map_groups();
    Result<> fill(std::span<const std::vector<IpAddress>> groups_given);
};

Result<> Gate::State::load(std::size_t v4, std::size_t v6) {
    const Listening listening;
    skeleton = ::hamr_gate__open();
    if (skeleton == nullptr) return load_error(errno, listening.text());
    const auto size = [](std::size_t n) {
        return static_cast<std::uint32_t>(std::max<std::size_t>(n, 1));
    };
    ::bpf_map__set_max_entries(skeleton->maps.vip4, size(v4));
    ::bpf_map__set_max_entries(skeleton->maps.vip6, size(v6));
    ::bpf_map__set_max_entries(skeleton->maps.groups, size(count));
    const int error = -::hamr_gate__load(skeleton);
    if (error != 0) return load_error(error, listening.text());
    handles.groups = ::bpf_map__fd(skeleton->maps.groups);
    handles.counters = ::bpf_map__fd(skeleton->maps.counters);
    handles.ether = ::bpf_program__fd(skeleton->progs.hamr_gate_ether);
    handles.bare = ::bpf_program__fd(skeleton->progs.hamr_gate_bare);
    handles.build = build();
    identify();
    return {};
}

void Gate::State::identify() {
    ether_id = program_id(handles.ether);
    bare_id = program_id(handles.bare);
}

Result<> Gate::State::map_groups() {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t bytes = std::max<std::size_t>(count, 1) * sizeof(hamr_gate_group);
    mapped = (bytes + page - 1) / page * page;
    void* memory = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                          handles.groups, 0);
    if (memory == MAP_FAILED) return fail_errno("map the gate's instants", errno);
    groups = static_cast<hamr_gate_group*>(memory);
    return {};
}

Result<> Gate::State::fill(std::span<const std::vector<IpAddress>> groups_given) {
    for (std::uint32_t group = 0; group < groups_given.size(); ++group) {
        for (const IpAddress& address : groups_given[group]) {
            const bpf_map* map = address.is_v4() ? skeleton->maps.vip4 : skeleton->maps.vip6;
            const std::size_t key_size = address.is_v4() ? 4 : 16;
            const int error = -::bpf_map__update_elem(map, address.bytes().data(), key_size, &group,
                                                      sizeof group, BPF_NOEXIST);
            if (error == EEXIST) {
                return fail(address.to_string() + " belongs to two groups, or twice to one");
            }
            if (error != 0) return fail_errno("tell the gate of " + address.to_string(), error);
        }
    }
    return {};
}

Result<Gate> Gate::open(std::span<const std::vector<IpAddress>> groups) {
    std::size_t v4 = 0;
    std::size_t v6 = 0;
    for (const auto& addresses : groups) {
        for (const IpAddress& address : addresses) ++(address.is_v4() ? v4 : v6);
    }
    if (groups.size() > most_groups || v4 + v6 > most_addresses) {
        return fail("the gate has room for " + std::to_string(most_groups) + " groups and " +
                    std::to_string(most_addresses) + " addresses");
    }
    auto state = std::make_unique<State>();
    state->count = groups.size();
    auto result = state->load(v4, v6);
    if (result) result = state->map_groups();
    if (result) result = state->fill(groups);
    if (!result) return tl::unexpected(result.error());
    return Gate(std::move(state));
}

Result<Gate> Gate::adopt(const GateHandles& handles, std::size_t groups) {
    auto state = std::make_unique<State>();
    state->adopted = {UniqueFd(handles.groups), UniqueFd(handles.counters), UniqueFd(handles.ether),
                      UniqueFd(handles.bare)};
    state->handles = handles;
    state->count = groups;
    if (handles.build != build()) return fail("the gate that stands is of another build");
    bpf_map_info map{};
    std::uint32_t size = sizeof map;
    if (::bpf_obj_get_info_by_fd(handles.groups, &map, &size) != 0) {
        return fail_errno("the instants of the gate that stands", errno);
    }
    if (map.value_size != sizeof(hamr_gate_group) ||
        map.max_entries != std::max<std::size_t>(groups, 1)) {
        return fail("the gate that stands is for other groups");
    }
    state->identify();
    if (state->ether_id == 0 || state->bare_id == 0) {
        return fail("the program of the gate that stands is gone");
    }
    if (const auto mapped = state->map_groups(); !mapped) return tl::unexpected(mapped.error());
    return Gate(std::move(state));
}

GateHandles Gate::handles() const noexcept {
    return state_->handles;
}

std::uint64_t Gate::build() noexcept {
    std::size_t size = 0;
    const auto* program = static_cast<const unsigned char*>(::hamr_gate__elf_bytes(&size));
    std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a: it tells builds apart, no more
    for (std::size_t i = 0; i < size; ++i) hash = (hash ^ program[i]) * 0x100000001b3ULL;
    return hash;
}

Gate::Gate(std::unique_ptr<State> state) : state_(std::move(state)) {}
Gate::Gate(Gate&&) noexcept = default;
Gate& Gate::operator=(Gate&&) noexcept = default;
Gate::~Gate() = default;

Result<> Gate::attach(InterfaceIndex index) {
    const auto ethernet = has_ethernet_header(index);
    if (!ethernet) return tl::unexpected(ethernet.error());
    const Listening listening;
    bpf_tc_hook hook = hook_of(index, BPF_TC_EGRESS);
    int error = -::bpf_tc_hook_create(&hook);
    if (error != 0 && error != EEXIST) return attach_error(index, error, listening.text());
    const auto filters = list_filters(index, FilterSide::egress);
    if (!filters) return tl::unexpected(filters.error());
    for (const Filter& filter : *filters) {
        const bool in_our_place = filter.handle == handle && filter.priority == priority;
        const bool blocking = filter.priority == priority && filter.kind != "bpf";
        if (blocking || (in_our_place && !ours(filter))) {
            return fail("attach the gate to " + label(index) + ": another filter (" + filter.kind +
                        " " + filter.name + ") has priority 1");
        }
    }
    bpf_tc_opts opts = options(priority);
    opts.prog_fd = *ethernet ? state_->handles.ether : state_->handles.bare;
    opts.flags = BPF_TC_F_REPLACE;
    error = -::bpf_tc_attach(&hook, &opts);
    if (error != 0) return attach_error(index, error, listening.text());
    return {};
}

Result<> Gate::detach(InterfaceIndex index) {
    const auto taken = take_off(index);
    if (!taken) return tl::unexpected(taken.error());
    return {};
}

Result<bool> Gate::attached(InterfaceIndex index) const {
    const auto filters = list_filters(index, FilterSide::egress);
    if (!filters) return tl::unexpected(filters.error());
    return std::any_of(filters->begin(), filters->end(), [&](const Filter& filter) {
        return ours(filter) && filter.priority == priority &&
               (filter.program == state_->ether_id || filter.program == state_->bare_id);
    });
}

void Gate::set_until(GateGroup group, BootTime until) noexcept {
    HAMR_ASSERT(group.value < state_->count);
    std::atomic_ref(state_->groups[group.value].until).store(nanoseconds(until));
}

BootTime Gate::until(GateGroup group) const noexcept {
    HAMR_ASSERT(group.value < state_->count);
    const auto value = std::atomic_ref(state_->groups[group.value].until).load();
    return BootTime{Duration{static_cast<Duration::rep>(value)}};
}

void Gate::set_forward(GateGroup group, BootTime forward) noexcept {
    HAMR_ASSERT(group.value < state_->count);
    std::atomic_ref(state_->groups[group.value].forward).store(nanoseconds(forward));
}

BootTime Gate::forward(GateGroup group) const noexcept {
    HAMR_ASSERT(group.value < state_->count);
    const auto value = std::atomic_ref(state_->groups[group.value].forward).load();
    return BootTime{Duration{static_cast<Duration::rep>(value)}};
}

void Gate::guard_resets(bool on) noexcept {
    static_assert(reset_mark == HAMR_GATE_RESET_MARK);
    for (std::size_t group = 0; group < state_->count; ++group) {
        std::atomic_ref(state_->groups[group].resets).store(on ? 1 : 0, std::memory_order_relaxed);
    }
}

std::size_t Gate::groups() const noexcept {
    return state_->count;
}

Result<GateCounters> Gate::counters() const {
    const int processors = ::libbpf_num_possible_cpus();
    if (processors <= 0) return fail("count the processors");
    std::array<std::uint64_t, HAMR_GATE_COUNTERS> totals{};
    std::vector<std::uint64_t> values(static_cast<std::size_t>(processors));
    for (std::uint32_t i = 0; i < HAMR_GATE_COUNTERS; ++i) {
        const int error =
            ::bpf_map_lookup_elem(state_->handles.counters, &i, values.data()) == 0 ? 0 : errno;
        if (error != 0) return fail_errno("read the gate's counters", error);
        for (const std::uint64_t value : values) totals[i] += value;
    }
    return GateCounters{totals[HAMR_GATE_DROPPED_IPV4], totals[HAMR_GATE_DROPPED_IPV6],
                        totals[HAMR_GATE_DROPPED_ARP],  totals[HAMR_GATE_DROPPED_ND],
                        totals[HAMR_GATE_FORWARDED],    totals[HAMR_GATE_DROPPED_RESET]};
}

Result<int> Gate::cleanup() {
    const std::unique_ptr<struct if_nameindex, decltype(&::if_freenameindex)> list(
        ::if_nameindex(), &::if_freenameindex);
    if (!list) return fail_errno("list the interfaces", errno);
    int taken = 0;
    std::optional<Error> first;
    for (const struct if_nameindex* it = list.get(); it->if_index != 0; ++it) {
        const auto result = take_off(InterfaceIndex{static_cast<int>(it->if_index)});
        if (result) {
            taken += *result;
        } else if (!first) {
            first = result.error();
        }
    }
    if (first) return tl::unexpected(*first);
    return taken;
}

}  // namespace hamr::vip
