#pragma once

/// What the groups of commands (cli_*.cc) share. A group adds its subcommands; each says what to run, with options of
/// its own that live in a shared_ptr which the function holds:
///
///   auto id = std::make_shared<std::string>();
///   CLI::App* show = line.app().add_subcommand("show", "…");
///   show->add_option("id", *id, "its id")->required();
///   line.on_client(show, [id](AdminClient& client, Format format) { return show_it(client, *id, format); });

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "app/config_file.h"
#include "console/commands.h"

namespace hf::app {

using console::AdminClient;
using console::Format;

class CommandLine {
 public:
  CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;
  /// Parses, runs what was chosen. The exit code (app/cli.h).
  int run(int argc, const char* const* argv);

  CLI::App& app() { return app_; }
  /// `command` runs this; what it returns is the exit code.
  void on(CLI::App* command, std::function<int()> run);
  /// `command` talks to a running Holdfast.
  using ClientCommand = std::function<Task<int>(AdminClient&, Format)>;
  void on_client(CLI::App* command, ClientCommand run);
  /// --config, --data, --roles, --shop, --store, --set: into sources().
  void add_config_options(CLI::App* command);

  const ConfigSources& sources() const { return sources_; }
  const std::string& admin() const { return admin_; }
  const std::string& token() const { return token_; }
  bool json() const { return json_; }

 private:
  int run_client(const ClientCommand& command) const;

  CLI::App app_{"holdfast", "holdfast"};
  std::function<int()> run_;
  ConfigSources sources_;
  std::string admin_ = "http://127.0.0.1:8080", token_;
  bool json_ = false;
};

/// To standard error; the exit code "not done".
int print_error(const Error& error);

void add_serving(CommandLine& line);       ///< serve, demo, reconcile, sql, config
void add_orders(CommandLine& line);        ///< order, show
void add_messages(CommandLine& line);      ///< dlq, topic, group
void add_outbox(CommandLine& line);        ///< outbox
void add_transactions(CommandLine& line);  ///< tx

}  // namespace hf::app
