#include "app/config_file.h"

#include "sys/files.h"

namespace hf::app {
namespace {

/// Defaults, then the file, then the command line.
Result<void> apply(ConfigSchema& schema, Config& config, const ConfigSources& sources) {
  if (!sources.file.empty()) {
    sys::RealFileSystem files;
    Result<std::string> text = sys::read_file(files, sources.file);
    if (!text) return Error{Code::invalid, "the configuration cannot be read: " + text.error().message};
    HF_TRY(schema.apply_toml(*text, sources.file));
  }
  if (!sources.shop.empty()) HF_TRY(schema.apply_assignment("shop.mode=" + sources.shop));
  if (!sources.store.empty()) HF_TRY(schema.apply_assignment("process.store=" + sources.store));
  for (const std::string& assignment : sources.assignments) HF_TRY(schema.apply_assignment(assignment));
  if (!sources.data.empty()) config.data = sources.data;
  if (!sources.roles.empty()) config.roles = sources.roles;
  return ok();
}

}  // namespace

Result<Config> load_configuration(const ConfigSources& sources) {
  Config config;
  ConfigSchema schema;
  describe(schema, config);
  HF_TRY(apply(schema, config, sources));
  HF_TRY(settle(config));
  return config;
}

Result<std::string> explain_configuration(const ConfigSources& sources) {
  Config config;
  ConfigSchema schema;
  describe(schema, config);
  HF_TRY(apply(schema, config, sources));
  const std::string text = schema.explain();
  HF_TRY(settle(config));  // a wrong configuration is not explained as if it were right
  return text;
}

}  // namespace hf::app
