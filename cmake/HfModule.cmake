# One target per folder of src/. The DEPS of all modules are the arrows of the house: they are written to
# arrows.txt, and tests/arrows compares every #include with them.

set_property(GLOBAL PROPERTY HF_ARROWS "")

# hf_module(broker SOURCES a.cc … DEPS base sys … [PRIVATE target …] [PUBLIC target …])
#   DEPS: our modules whose headers this one may include. PRIVATE, PUBLIC: foreign targets.
function(hf_module name)
  cmake_parse_arguments(M "" "" "SOURCES;DEPS;PRIVATE;PUBLIC" ${ARGN})
  add_library(hf_${name} STATIC ${M_SOURCES})
  add_library(hf::${name} ALIAS hf_${name})
  target_link_libraries(hf_${name} PUBLIC hf_flags PRIVATE hf_warnings)
  foreach(dep IN LISTS M_DEPS)
    target_link_libraries(hf_${name} PUBLIC hf_${dep})
  endforeach()
  if(M_PUBLIC)
    target_link_libraries(hf_${name} PUBLIC ${M_PUBLIC})
  endif()
  if(M_PRIVATE)
    target_link_libraries(hf_${name} PRIVATE ${M_PRIVATE})
  endif()
  if(NOT name STREQUAL "pch_core")
    target_precompile_headers(hf_${name} REUSE_FROM hf_pch_core)
    target_link_libraries(hf_${name} PRIVATE hf_pch_core)
  endif()
  set_property(GLOBAL APPEND_STRING PROPERTY HF_ARROWS "${name}: ${M_DEPS}\n")
endfunction()

# hf_test(base SOURCES a_test.cc … DEPS base … [LABEL conformance] [TIMEOUT 300]): one executable per folder; every
# GoogleTest case is a ctest of its own.
#   TIMEOUT: seconds for a case, 60 if it is not said. More than its own waits may take together on a slow machine: cases
#   that start a database server have 300.
function(hf_test name)
  cmake_parse_arguments(T "" "TIMEOUT;LABEL" "SOURCES;DEPS;PRIVATE" ${ARGN})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 60)
  endif()
  set(exe hf_${name}_test)
  add_executable(${exe} ${T_SOURCES})
  target_link_libraries(${exe} PRIVATE hf_flags hf_warnings hf_pch_test GTest::gmock GTest::gtest_main ${T_PRIVATE})
  foreach(dep IN LISTS T_DEPS)
    target_link_libraries(${exe} PRIVATE hf_${dep})
  endforeach()
  target_precompile_headers(${exe} REUSE_FROM hf_pch_test)
  gtest_discover_tests(${exe} PROPERTIES TIMEOUT ${T_TIMEOUT} LABELS "${T_LABEL}" DISCOVERY_TIMEOUT 30 DISCOVERY_MODE PRE_TEST)
endfunction()

# hf_proto(rmq_proto dir/a.proto …): generated messages as one static library, without our warnings.
function(hf_proto name)
  set(out ${PROJECT_BINARY_DIR}/proto)
  file(MAKE_DIRECTORY ${out})
  set(generated)
  foreach(proto IN LISTS ARGN)
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    add_custom_command(
      OUTPUT ${out}/${stem}.pb.cc ${out}/${stem}.pb.h
      COMMAND protobuf::protoc --proto_path=${PROJECT_SOURCE_DIR}/proto --cpp_out=${out} ${PROJECT_SOURCE_DIR}/proto/${proto}
      DEPENDS ${PROJECT_SOURCE_DIR}/proto/${proto} VERBATIM)
    list(APPEND generated ${out}/${stem}.pb.cc)
  endforeach()
  add_library(hf_${name} STATIC ${generated})
  target_include_directories(hf_${name} SYSTEM PUBLIC ${out})
  target_link_libraries(hf_${name} PUBLIC hf_flags protobuf::libprotobuf)
endfunction()

function(hf_write_arrows)
  get_property(arrows GLOBAL PROPERTY HF_ARROWS)
  file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/arrows.txt CONTENT "${arrows}")
endfunction()
