# varve_library, varve_test, varve_bench, varve_fuzzer: one line per target, the same rules for all.
include(GoogleTest)
set(VARVE_PCH <algorithm> <cstdint> <functional> <map> <memory> <optional> <set> <span> <string>
  <string_view> <utility> <variant> <vector> <absl/status/status.h> <absl/status/statusor.h> <absl/strings/str_cat.h>)

# Precompiled once for all modules and once for all tests, which are executables and so compiled with
# other flags; per target they would cost more than they save.
file(WRITE ${CMAKE_BINARY_DIR}/empty.cc.in "int main() {}\n")
configure_file(${CMAKE_BINARY_DIR}/empty.cc.in ${CMAKE_BINARY_DIR}/empty.cc COPYONLY)
add_library(varve_pch STATIC ${CMAKE_BINARY_DIR}/empty.cc)
target_link_libraries(varve_pch PRIVATE absl::status absl::statusor absl::strings)
target_precompile_headers(varve_pch PRIVATE ${VARVE_PCH})
if(VARVE_TESTS)
  add_executable(varve_test_pch ${CMAKE_BINARY_DIR}/empty.cc)
  target_link_libraries(varve_test_pch PRIVATE absl::status absl::statusor absl::strings GTest::gmock)
  target_precompile_headers(varve_test_pch PRIVATE ${VARVE_PCH} <gtest/gtest.h> <gmock/gmock.h>)
endif()

# varve_library(NAME SOURCES a.cc ... DEPS target ... [ALONE a.cc ...])   a module; include paths start at
# the repository root. VARVE_UNITY compiles several of its files at once, except those that are to be ALONE
# because they use short names for what others call the same.
function(varve_library name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS;PRIVATE_DEPS;ALONE" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
  target_link_libraries(${name} PUBLIC ${A_DEPS} PRIVATE ${A_PRIVATE_DEPS})
  target_precompile_headers(${name} REUSE_FROM varve_pch)
  if(VARVE_UNITY)
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
    set_source_files_properties(${A_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
endfunction()

# Rules for every ctest entry. Labels: unit, conformance, sim, process, fuzz; slow in addition keeps an
# entry out of the default run. Temporary files stay inside the build directory; a script that cannot
# run here exits with 77 and prints "SKIP: reason". Process tests never share the machine.
function(varve_set_test_rules name timeout)
  set_tests_properties(${name} PROPERTIES LABELS "${ARGN}" TIMEOUT ${timeout} SKIP_RETURN_CODE 77
    ENVIRONMENT "TMPDIR=${CMAKE_BINARY_DIR}/tmp;TEST_TMPDIR=${CMAKE_BINARY_DIR}/tmp")
  if("process" IN_LIST ARGN)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
  endif()
endfunction()
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/tmp ${CMAKE_BINARY_DIR}/reports)

# varve_test(NAME SOURCES a_test.cc ... DEPS target ... [LABELS unit|conformance|sim|process|slow ...]
#            [TIMEOUT seconds])
# Each binary is one ctest entry; scripts/test adds up the cases from its report,
# build/<preset>/reports/NAME.xml (XML: GoogleTest 1.12's JSON leaves out why a case was skipped).
function(varve_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT A_LABELS)
    set(A_LABELS unit)
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  add_executable(${name} ${A_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${A_DEPS} GTest::gmock GTest::gtest_main)
  target_precompile_headers(${name} REUSE_FROM varve_test_pch)
  add_test(NAME ${name} COMMAND ${name} --gtest_output=xml:${CMAKE_BINARY_DIR}/reports/${name}.xml)
  varve_set_test_rules(${name} ${A_TIMEOUT} ${A_LABELS})
endfunction()

# varve_script_test(NAME COMMAND program argument ... [LABELS process ...] [TIMEOUT seconds])
# A test that is a program of its own. It counts as one, or as what its last line of the form
# "N passed, N failed, N skipped" says; lines "SKIP: name: reason" and "FAIL: name: reason" say which.
function(varve_script_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "COMMAND;LABELS" ${ARGN})
  if(NOT A_LABELS)
    set(A_LABELS process)
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  add_test(NAME ${name} COMMAND ${A_COMMAND} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  varve_set_test_rules(${name} ${A_TIMEOUT} ${A_LABELS})
endfunction()

# varve_bench(NAME SOURCES a_bench.cc DEPS target ...)   Google Benchmark; never a timed test
function(varve_bench name)
  if(NOT VARVE_BENCH)
    return()
  endif()
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${A_DEPS} benchmark::benchmark_main)
endfunction()

# varve_fuzzer(NAME SOURCES a_fuzz.cc DEPS target ...)
# LLVMFuzzerTestOneInput; with VARVE_FUZZ a libFuzzer binary in fuzzers/ of the build directory, else a
# test that replays tests/fuzz/corpus/NAME. The target varve_fuzzers builds all of them.
if(NOT TARGET varve_fuzzers)
  add_custom_target(varve_fuzzers)
endif()
function(varve_fuzzer name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
  if(VARVE_FUZZ)
    add_executable(${name} ${A_SOURCES})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzzers)
  else()
    add_executable(${name} ${A_SOURCES} ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_corpus_main.cc)
    add_test(NAME ${name} COMMAND ${name} ${corpus})
    varve_set_test_rules(${name} 120 fuzz)
  endif()
  add_dependencies(varve_fuzzers ${name})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${A_DEPS})
endfunction()
