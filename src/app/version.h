#pragma once

#include <string>

namespace hf::app {

/// "0.1.0", and the commit it was built from ("unknown" outside a checkout).
std::string version();
std::string commit();
int print_version(bool json);

}  // namespace hf::app
