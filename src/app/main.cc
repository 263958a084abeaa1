#include <cstdio>
#include <exception>

#include "app/cli.h"

int main(int argc, char** argv) {
  try {
    return hf::app::run_command_line(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "holdfast: %s\n", error.what());  // foreign: bad_alloc, filesystem trouble; ours are values
    return hf::app::kExitNotDone;
  }
}
