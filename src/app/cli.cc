#include "app/cli.h"

#include <cstdio>

#include "app/command_line.h"
#include "app/version.h"
#include "base/log.h"
#include "sys/loop.h"

namespace hf::app {

int print_error(const Error& error) {
  std::fprintf(stderr, "holdfast: %s\n", error.message.c_str());
  return kExitNotDone;
}

CommandLine::CommandLine() {
  app_.description("An order's database change, its message and its notification stay consistent, through any crash.");
  app_.require_subcommand(1);
  app_.fallthrough();
  app_.footer("Exit codes: 0 yes, 1 no (a finding, a refusal, nothing there), 2 not done.");
  app_.add_flag("--json", json_, "print JSON");
  app_.add_option("--admin", admin_, "administration address of a running Holdfast")
      ->envname("HOLDFAST_ADMIN")
      ->capture_default_str();
  app_.add_option("--admin-token", token_, "its token, if it wants one")->envname("HOLDFAST_ADMIN_TOKEN");
  add_serving(*this);
  add_orders(*this);
  add_transactions(*this);
  add_messages(*this);
  add_outbox(*this);
  on(app_.add_subcommand("version", "print the version and what it was built from"),
     [this] { return print_version(json_); });
}

int CommandLine::run(int argc, const char* const* argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app_.exit(error);  // prints help, or what is wrong
    return code == 0 ? kExitYes : kExitNotDone;
  }
  return run_();
}

void CommandLine::on(CLI::App* command, std::function<int()> run) {
  command->callback([this, run = std::move(run)] { run_ = run; });
}

void CommandLine::on_client(CLI::App* command, ClientCommand run) {
  on(command, [this, run = std::move(run)] { return run_client(run); });
}

int CommandLine::run_client(const ClientCommand& command) const {
  log::set_level(log::Level::error);
  sys::Loop loop;
  AdminClient client(loop.world(), admin_, token_);
  const Result<int> exit_code = loop.run_until_done(command(client, json_ ? Format::json : Format::text));
  return exit_code ? *exit_code : print_error(exit_code.error());
}

void CommandLine::add_config_options(CLI::App* command) {
  command->add_option("--config", sources_.file, "TOML file; `holdfast config explain` prints all keys");
  command->add_option("--data", sources_.data, "data folder");
  command->add_option("--roles", sources_.roles, "all of the shop's mode, or some: broker,shop,router,…")
      ->delimiter(',');
  command->add_option("--shop", sources_.shop, "the shop's mode: message (default), outbox, 2pc");
  command->add_option("--store", sources_.store, "sqlite (default), mariadb, mariadb-all: local servers, started here");
  command->add_option("--set", sources_.assignments, "one key: --set broker.port=9081 (may be repeated)");
}

int run_command_line(int argc, const char* const* argv) {
  CommandLine line;
  return line.run(argc, argv);
}

}  // namespace hf::app
