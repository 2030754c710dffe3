#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The Debian packages that this project is built, run and tested with.
#
#   deploy/packages.sh GROUP...          installs what is missing (root)
#   deploy/packages.sh --list GROUP...   prints the names
#
# Groups: build (compile it), run (quickstart: hosts as namespaces, MariaDB), haproxy, mysqlrouter
# (quickstart --router), package (make the .deb), test (everything else that tests/run wants), fuzz
# (tests/fuzz/run).
# Nothing is removed, and no service is started.
set -euo pipefail

# Debian 12 has Boost 1.74 (too old for this) and 1.81; Debian 13 has 1.83.
boost_version() {
    local VERSION_ID=12
    # shellcheck disable=SC1091
    . /etc/os-release
    if [[ ${VERSION_ID%%.*} -ge 13 ]]; then echo 1.83; else echo 1.81; fi
}

# The sanitizers' and libFuzzer's libraries belong to one clang: Debian 12's is 14, Debian 13's 19.
clang_version() {
    local VERSION_ID=12
    # shellcheck disable=SC1091
    . /etc/os-release
    if [[ ${VERSION_ID%%.*} -ge 13 ]]; then echo 19; else echo 14; fi
}

packages_of() {
    local boost
    case $1 in
    build)
        boost=$(boost_version)
        echo g++ cmake ninja-build ccache pkg-config git ca-certificates clang bpftool libbpf-dev \
            libnl-3-dev libnl-route-3-dev "libboost${boost}-dev" "libboost-json${boost}-dev" \
            libsodium-dev libmariadb-dev libsystemd-dev libyaml-cpp-dev libspdlog-dev \
            libexpected-dev libmnl-dev libnetfilter-conntrack-dev
        ;;
    run) echo iproute2 nftables procps python3 mariadb-server mariadb-client ;;
    haproxy) echo haproxy galera-4 rsync socat ;;
    mysqlrouter) echo zstd debian-archive-keyring ;;
    package) echo dpkg-dev file binutils ;;
    test)
        echo libgtest-dev libgmock-dev librapidcheck-dev conntrack tcpdump keepalived haproxy \
            man-db mandoc clang-format debootstrap systemd-container zstd lintian \
            galera-4 rsync socat openssl spin stress-ng
        ;;
    fuzz) echo "libclang-rt-$(clang_version)-dev" ;;
    *)
        echo "packages.sh: unknown group '$1' (build, run, haproxy, mysqlrouter, package, test," \
            "fuzz)" >&2
        exit 2
        ;;
    esac
}

is_installed() {
    local package
    for package in "$1" "$1:any"; do
        if [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]]; then
            return 0
        fi
    done
    return 1
}

missing_of() {
    local package
    for package in "$@"; do
        is_installed "$package" || echo "$package"
    done
}

# For the time of the installation only, and only if the machine has no policy of its own.
policy=/usr/sbin/policy-rc.d
forbid_services() {
    if [[ ! -e $policy ]]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
}

install_missing() {
    echo "==> installing ${#} packages: $*"
    if [[ $(id -u) != 0 ]]; then
        echo "packages.sh: not root; run: apt-get install --no-remove $*" >&2
        exit 1
    fi
    forbid_services
    export DEBIAN_FRONTEND=noninteractive
    local apt=(apt-get -q -o DPkg::Lock::Timeout=300)
    "${apt[@]}" update
    if ! "${apt[@]}" install -y --no-remove --no-install-recommends "$@"; then
        if is_installed libboost1.74-dev; then
            echo "packages.sh: libboost1.74-dev is installed and conflicts with libboost1.81-dev;" \
                "remove it if nothing else needs it: apt-get remove libboost1.74-dev" >&2
        fi
        echo "packages.sh: could not install the packages above" >&2
        exit 1
    fi
}

main() {
    local list=no group
    local -a wanted=() missing=()
    if [[ ${1:-} == --list ]]; then
        list=yes
        shift
    fi
    if [[ $# == 0 ]]; then
        echo "usage: packages.sh [--list] build|run|package|test ..." >&2
        exit 2
    fi
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        echo "packages.sh: no apt-get here: this wants Debian 12 or newer" >&2
        exit 1
    fi
    for group in "$@"; do
        local names
        names=$(packages_of "$group")
        # Word splitting is meant.
        # shellcheck disable=SC2206
        wanted+=($names)
    done
    if [[ $list == yes ]]; then
        printf '%s\n' "${wanted[@]}"
        return
    fi
    mapfile -t missing < <(missing_of "${wanted[@]}")
    if [[ ${#missing[@]} -gt 0 ]]; then
        install_missing "${missing[@]}"
    fi
}

main "$@"
