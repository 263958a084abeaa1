#include <cstdio>

#include "app/cli.h"
#include "app/command_line.h"
#include "app/demo.h"
#include "app/reconcile_command.h"
#include "app/serve.h"
#include "app/sql_command.h"
#include "sys/fault_points.h"

namespace hf::app {
namespace {

int explain_config(const ConfigSources& sources) {
  const Result<std::string> text = explain_configuration(sources);
  if (!text) return print_error(text.error());
  std::fputs(text->c_str(), stdout);
  return kExitYes;
}

int check_config(const ConfigSources& sources) {
  const Result<Config> config = load_configuration(sources);
  if (!config) return print_error(config.error());
  std::puts("the configuration is right");
  return kExitYes;
}

int list_fault_points() {
  for (const sys::FaultPointInfo& point : sys::all_fault_points()) {
    std::printf("%-36.*s %.*s\n", int(point.name.size()), point.name.data(), int(point.where.size()),
                point.where.data());
  }
  return kExitYes;
}

void add_serve(CommandLine& line) {
  auto options = std::make_shared<ServeOptions>();
  auto* serve = line.app().add_subcommand("serve", "run the roles of the chain, all of them by default");
  line.add_config_options(serve);
  serve->add_option("--fault", options->faults, "arm fault points: name=crash:1,name=delay:3000 (for tests)");
  serve->add_option("--ready-file", options->ready_file, "written when all roles listen: a line `role host:port` each");
  line.on(serve, [&line, options] { return serve_command(line.sources(), *options); });
}

void add_demo(CommandLine& line) {
  auto options = std::make_shared<DemoOptions>();
  auto* demo = line.app().add_subcommand("demo", "orders under load, three kills, reconciliation, a report");
  demo->add_option("--orders", options->orders, "how many")->check(CLI::Range(1, 1'000'000))->capture_default_str();
  demo->add_option("--buyers", options->buyers, "concurrent buyers")->check(CLI::Range(1, 1000))->capture_default_str();
  demo->add_option("--kills", options->kills, "kill -9 at random moments")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  demo->add_option("--random", options->seed, "the number everything random is made from; 0: a fresh one");
  demo->add_option("--store", options->store, "sqlite or mariadb; MariaDB servers are killed as well")
      ->check(CLI::IsMember({"sqlite", "mariadb"}))
      ->capture_default_str();
  demo->add_option("--data", options->data, "data folder, must not exist; default: a temporary one");
  demo->add_flag("--keep", options->keep, "leave the data folder for a look");
  demo->add_option("--settle", options->settle_s, "seconds to settle at most")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  line.on(demo, [&line, options] { return demo_command(*options, line.json()); });
}

void add_reconcile(CommandLine& line) {
  auto options = std::make_shared<ReconcileOptions>();
  auto* reconcile = line.app().add_subcommand(
      "reconcile", "prove the promises from what is stored; 0 clean, 1 findings, 2 could not");
  line.add_config_options(reconcile);
  reconcile->add_option("--from", options->from, "orders committed at or after this time (RFC 3339)");
  reconcile->add_option("--until", options->until, "and before this one; default: `--grace` ago");
  reconcile->add_option("--grace", options->grace, "younger orders may still be on their way")->capture_default_str();
  line.on(reconcile, [&line, options] {
    options->admin = line.admin();
    options->admin_token = line.token();
    return reconcile_command(line.sources(), *options, line.json());
  });
}

void add_sql(CommandLine& line) {
  auto options = std::make_shared<SqlOptions>();
  auto* sql = line.app().add_subcommand("sql", "look into a store, beside the processes that use it; reads only");
  line.add_config_options(sql);
  sql->add_option("store", options->store, "shop, payment, inventory, coordinator, router, notifier or phone")
      ->required();
  sql->add_option("statement", options->statement, "SELECT …, describe TABLE, show tables")->required();
  line.on(sql, [&line, options] { return sql_command(line.sources(), *options, line.json()); });
}

void add_config(CommandLine& line) {
  auto* config = line.app().add_subcommand("config", "the configuration");
  config->require_subcommand(1);
  auto* explain = config->add_subcommand("explain", "every key with its meaning, bounds and present value, as TOML");
  line.add_config_options(explain);
  line.on(explain, [&line] { return explain_config(line.sources()); });
  auto* check = config->add_subcommand("check", "is this configuration right? 0 yes, 2 no");
  line.add_config_options(check);
  line.on(check, [&line] { return check_config(line.sources()); });
  line.on(config->add_subcommand("faults", "the fault points that `serve --fault` takes"),
          [] { return list_fault_points(); });
}

}  // namespace

void add_serving(CommandLine& line) {
  add_serve(line);
  add_demo(line);
  add_reconcile(line);
  add_sql(line);
  add_config(line);
}

}  // namespace hf::app
