# SPDX-License-Identifier: GPL-2.0-or-later
# What every target of this tree has in common.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(HAMR_CCACHE ccache)
if(HAMR_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # No hashing of the build directory: a second preset, or a clean clone, finds the same objects.
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} ${HAMR_CCACHE})
endif()

add_library(hamr_flags INTERFACE)
target_compile_options(hamr_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
  -Wcast-align -Wunused $<$<BOOL:${HAMR_WERROR}>:-Werror>)
target_include_directories(hamr_flags INTERFACE ${CMAKE_SOURCE_DIR})

# hamr_library(NAME [SOURCES …] [HEADERS …] [LIBS public …] [PRIVATE_LIBS …])
# A static library hamr_NAME with the alias hamr::NAME (underscores after the room become "::"-free
# names: election_io is hamr::election_io). Headers go into a FILE_SET, includes start at the root.
function(hamr_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;HEADERS;LIBS;PRIVATE_LIBS" ${ARGN})
  if(ARG_SOURCES)
    add_library(hamr_${name} STATIC ${ARG_SOURCES})
    target_sources(hamr_${name} PUBLIC FILE_SET HEADERS
      BASE_DIRS ${CMAKE_SOURCE_DIR} FILES ${ARG_HEADERS})
    target_link_libraries(hamr_${name} PUBLIC ${ARG_LIBS} PRIVATE hamr_flags ${ARG_PRIVATE_LIBS})
    target_include_directories(hamr_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  else()
    add_library(hamr_${name} INTERFACE)
    target_sources(hamr_${name} INTERFACE FILE_SET HEADERS
      BASE_DIRS ${CMAKE_SOURCE_DIR} FILES ${ARG_HEADERS})
    target_link_libraries(hamr_${name} INTERFACE ${ARG_LIBS})
    target_include_directories(hamr_${name} INTERFACE ${CMAKE_SOURCE_DIR})
  endif()
  add_library(hamr::${name} ALIAS hamr_${name})
endfunction()

# hamr_unit_test(NAME SOURCES … LIBS …): a GoogleTest program "NAME", one ctest entry with the
# label unit. The tests of one room are one program: linking is what costs on two cores.
function(hamr_unit_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE hamr_flags ${ARG_LIBS} GTest::gmock_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "unit;${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
endfunction()
