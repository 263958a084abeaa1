#include "app/version.h"

#include <cstdio>

#include "app/build_info.h"  // made by CMake

namespace hf::app {

std::string version() { return kBuildVersion; }
std::string commit() { return kBuildCommit; }

int print_version(bool json) {
  if (json) {
    std::printf("{\"version\":\"%s\",\"commit\":\"%s\"}\n", kBuildVersion, kBuildCommit);
  } else {
    std::printf("holdfast %s (commit %s)\n", kBuildVersion, kBuildCommit);
  }
  return 0;
}

}  // namespace hf::app
