#include "app/data_layout.h"

#include <fmt/format.h>

#include "sys/files.h"

namespace hf::app {
namespace {

std::string path_in(const std::string& data) { return data + "/layout"; }

/// Two assignments, as `--set` takes them.
std::string layout_of(const Config& config) {
  return fmt::format("shop.mode={}\nprocess.store={}\n", to_string(config.mode), config.store_name);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = std::min(text.find('\n', from), text.size());
    lines.push_back(text.substr(from, end - from));
    from = end + 1;
  }
  return lines;
}

}  // namespace

Result<void> check_layout(sys::World& world, const Config& config) {
  const Result<std::string> found = sys::read_file(world.files, path_in(config.data));
  if (!found) return found.error().code == Code::not_found ? ok() : Result<void>(found.error());
  if (*found == layout_of(config)) return ok();
  return Error{
      Code::conflict,
      fmt::format("the data folder {} was made for {}, not for shop.mode={} and process.store={}: take those, "
                  "or another folder",
                  config.data, fmt::join(lines_of(*found), " and "), to_string(config.mode), config.store_name)};
}

Result<void> claim_layout(sys::World& world, const Config& config) {
  return sys::replace_file(world.files, path_in(config.data), layout_of(config));
}

Result<Config> load_configuration_beside(sys::World& world, const ConfigSources& sources) {
  HF_TRY(Config config, load_configuration(sources));
  if (const Result<std::string> layout = sys::read_file(world.files, path_in(config.data))) {
    ConfigSources as_made = sources;
    as_made.roles.clear();
    for (std::string& line : lines_of(*layout)) as_made.assignments.push_back(std::move(line));
    HF_TRY(config, load_configuration(as_made));
  }
  return config;
}

}  // namespace hf::app
