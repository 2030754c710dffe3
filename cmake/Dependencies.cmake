# SPDX-License-Identifier: GPL-2.0-or-later
# Third-party libraries, all from Debian's packages (deploy/packages.sh lists them). Each is one
# imported target, so that rooms name what they use and nothing else reaches their include path.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(tl-expected REQUIRED)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(mariadb REQUIRED IMPORTED_TARGET libmariadb)
pkg_check_modules(libnl REQUIRED IMPORTED_TARGET libnl-3.0 libnl-route-3.0)
pkg_check_modules(libbpf REQUIRED IMPORTED_TARGET libbpf)
pkg_check_modules(libmnl REQUIRED IMPORTED_TARGET libmnl)
pkg_check_modules(conntrack REQUIRED IMPORTED_TARGET libnetfilter_conntrack)
pkg_check_modules(systemd REQUIRED IMPORTED_TARGET libsystemd)

# Asio and Beast are header-only; no deprecated overloads, no executor surprises.
add_library(hamr_asio INTERFACE)
target_link_libraries(hamr_asio INTERFACE Boost::headers Threads::Threads)
target_compile_definitions(hamr_asio INTERFACE
  BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_NO_TS_EXECUTORS)
add_library(hamr::asio ALIAS hamr_asio)

if(HAMR_TESTS)
  find_package(GTest REQUIRED)
  find_path(RAPIDCHECK_INCLUDE rapidcheck.h REQUIRED)
  find_library(RAPIDCHECK_LIBRARY rapidcheck REQUIRED)
  add_library(hamr_rapidcheck INTERFACE)
  target_include_directories(hamr_rapidcheck SYSTEM INTERFACE ${RAPIDCHECK_INCLUDE})
  target_link_libraries(hamr_rapidcheck INTERFACE ${RAPIDCHECK_LIBRARY})
  add_library(hamr::rapidcheck ALIAS hamr_rapidcheck)
endif()
