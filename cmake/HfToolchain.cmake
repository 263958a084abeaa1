# Compiler, warnings, sanitizers, ccache: what holds for every target of ours.

# g++ 11 and 12 destroy temporaries inside co_await expressions twice, silently (docs/decisions/0001-stack.md).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  message(FATAL_ERROR "g++ ${CMAKE_CXX_COMPILER_VERSION} miscompiles coroutines. Use clang 19: cmake --preset dev")
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_PCH_INSTANTIATE_TEMPLATES ON)

set(HF_OPTIMIZE "-O1" CACHE STRING "optimisation level")
set(HF_SANITIZE "" CACHE STRING "sanitizers, as -fsanitize= takes them")
option(HF_TIDY "run clang-tidy on every source" OFF)

find_program(HF_CCACHE ccache)
if(HF_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${HF_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()

# Flags of everything, generated code included.
add_library(hf_flags INTERFACE)
target_compile_options(hf_flags INTERFACE ${HF_OPTIMIZE} -g1 -pthread -fno-omit-frame-pointer -Xclang -fno-pch-timestamp)
# For quotes alone: <sys/wait.h> stays the system's, "sys/wait.h" is ours.
target_compile_options(hf_flags INTERFACE "SHELL:-iquote ${PROJECT_SOURCE_DIR}/src"
                                        "SHELL:-iquote ${PROJECT_SOURCE_DIR}/tests")
target_link_options(hf_flags INTERFACE -fuse-ld=lld -pthread)
target_compile_definitions(hf_flags INTERFACE BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
                                              BOOST_ASIO_NO_DEPRECATED BOOST_ERROR_CODE_HEADER_ONLY)
if(HF_SANITIZE)
  target_compile_options(hf_flags INTERFACE -fsanitize=${HF_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(hf_flags INTERFACE -fsanitize=${HF_SANITIZE})
endif()

# Flags of what we wrote.
add_library(hf_warnings INTERFACE)
target_compile_options(hf_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)

if(HF_TIDY)
  find_program(HF_CLANG_TIDY NAMES clang-tidy-19 clang-tidy REQUIRED)
  set(CMAKE_CXX_CLANG_TIDY ${HF_CLANG_TIDY} --quiet)
endif()
