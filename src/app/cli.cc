#include "app/cli.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "app/config.h"
#include "app/config_file.h"
#include "app/demo.h"
#include "app/reconcile_command.h"
#include "app/serve.h"
#include "app/version.h"
#include "base/log.h"
#include "console/commands.h"
#include "sys/loop.h"

namespace hf::app {
namespace {

using console::AdminClient;
using console::Format;

constexpr const char* kAdminDefault = "http://127.0.0.1:8080";

/// What every command shares, and what it decided to do.
struct Invocation {
  std::function<int()> run;
  ConfigSources sources;
  std::string admin = kAdminDefault, token;
  bool json = false;
  Format format() const { return json ? Format::json : Format::text; }
};

int print_error(const Error& error) {
  std::fprintf(stderr, "holdfast: %s\n", error.message.c_str());
  return kExitNotDone;
}

/// Runs a command that talks to a running Holdfast.
using ClientCommand = std::function<Task<int>(AdminClient&, Format)>;
int run_client(const Invocation& invocation, const ClientCommand& command) {
  log::set_level(log::Level::error);
  sys::Loop loop;
  AdminClient client(loop.world(), invocation.admin, invocation.token);
  const Result<int> exit_code = loop.run_until_done(command(client, invocation.format()));
  return exit_code ? *exit_code : print_error(exit_code.error());
}

class CommandLine {
 public:
  CommandLine() {
    app_.description(
        "An order's database change, its message and its notification stay consistent, through any crash.");
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.footer("Exit codes: 0 yes, 1 no (a finding, a refusal, nothing there), 2 not done.");
    app_.add_flag("--json", invocation_.json, "print JSON");
    app_.add_option("--admin", invocation_.admin, "administration address of a running Holdfast")
        ->envname("HOLDFAST_ADMIN")
        ->capture_default_str();
    app_.add_option("--admin-token", invocation_.token, "its token, if it wants one")->envname("HOLDFAST_ADMIN_TOKEN");
    add_serve();
    add_demo();
    add_order();
    add_show();
    add_transactions();
    add_dead_letters();
    add_topics();
    add_reconcile();
    add_config();
    auto* version = app_.add_subcommand("version", "print the version and what it was built from");
    on(version, [this] { return print_version(invocation_.json); });
  }

  int run(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      const int code = app_.exit(error);  // prints help, or what is wrong
      return code == 0 ? kExitYes : kExitNotDone;
    }
    return invocation_.run();
  }

 private:
  void on(CLI::App* command, std::function<int()> run) {
    command->callback([this, run = std::move(run)] { invocation_.run = run; });
  }
  void on_client(CLI::App* command, ClientCommand run) {
    on(command, [this, run = std::move(run)] { return run_client(invocation_, run); });
  }
  void add_config_options(CLI::App* command) {
    ConfigSources& sources = invocation_.sources;
    command->add_option("--config", sources.file, "TOML file; `holdfast config explain` prints all keys");
    command->add_option("--data", sources.data, "data folder");
    command->add_option("--roles", sources.roles, "broker,shop,router,notifier,phone,console or some of them")
        ->delimiter(',');
    command->add_option("--set", sources.assignments, "one key: --set broker.port=9081 (may be repeated)");
  }

  void add_serve() {
    auto* serve = app_.add_subcommand("serve", "run the roles of the chain, all of them by default");
    add_config_options(serve);
    serve->add_option("--fault", serve_.faults, "arm fault points: name=crash:1,name=delay:3000 (for tests)");
    serve->add_option("--ready-file", serve_.ready_file, "written when all roles listen: a line `role host:port` each");
    on(serve, [this] { return serve_command(invocation_.sources, serve_); });
  }

  void add_demo() {
    auto* demo = app_.add_subcommand("demo", "orders under load, three kills, reconciliation, a report");
    demo->add_option("--orders", demo_.orders, "how many")->check(CLI::Range(1, 1'000'000))->capture_default_str();
    demo->add_option("--buyers", demo_.buyers, "concurrent buyers")->check(CLI::Range(1, 1000))->capture_default_str();
    demo->add_option("--kills", demo_.kills, "kill -9 at random moments")
        ->check(CLI::Range(0, 100))
        ->capture_default_str();
    demo->add_option("--random", demo_.seed, "the number everything random is made from; 0: a fresh one");
    demo->add_option("--data", demo_.data, "data folder, must not exist; default: a temporary one");
    demo->add_flag("--keep", demo_.keep, "leave the data folder for a look");
    demo->add_option("--settle", demo_.settle_s, "seconds to settle at most")
        ->check(CLI::Range(1, 3600))
        ->capture_default_str();
    on(demo, [this] { return demo_command(demo_, invocation_.json); });
  }

  void add_order() {
    auto* order = app_.add_subcommand("order", "place one order");
    order->add_option("--buyer,--user", order_.buyer, "who buys")->required();
    order->add_option("--item", order_.item, "item number")->required();
    order->add_option("--quantity,--qty", order_.quantity, "pieces")->capture_default_str();
    order->add_option("--channel", order_.channels, "sms, whatsapp, voice, or several")
        ->delimiter(',')
        ->capture_default_str();
    order->add_option("--phone", order_.phone, "E.164: +15550100001")->required();
    order->add_option("--key", order_.key, "Idempotency-Key: the same key never orders twice");
    on_client(order, [this](AdminClient& client, Format format) { return place_order(client, order_, format); });
  }

  void add_show() {
    auto* show = app_.add_subcommand("show", "the story of one thing, hop by hop, with times");
    show->require_subcommand(1);
    const auto add = [&](const char* name, const char* what, auto command) {
      auto* one = show->add_subcommand(name, what);
      one->add_option("id", id_, "its id")->required();
      on_client(one, [this, command](AdminClient& client, Format format) { return command(client, id_, format); });
    };
    add("order", "an order, from the click to the phone", console::show_order);
    add("tx", "a transactional message", console::show_transaction);
    add("event", "an event: the rules it matched and its deliveries", console::show_event);
    add("delivery", "a delivery and its attempts", console::show_delivery);
    add("notification", "a notification, by its id, SID or event id", console::show_notification);
  }

  void add_transactions() {
    auto* tx = app_.add_subcommand("tx", "transactional messages nobody has decided yet");
    tx->require_subcommand(1);
    auto* list = tx->add_subcommand("list", "pending and parked ones");
    list->add_option("--state", state_, "pending, parked, committed or rolled_back");
    on_client(list, [this](AdminClient& client, Format format) { return list_transactions(client, state_, format); });
    auto* show = tx->add_subcommand("show", "one, with its history");
    show->add_option("id", id_, "transaction id, message id or key")->required();
    on_client(show, [this](AdminClient& client, Format format) { return show_transaction(client, id_, format); });
    const std::pair<const char*, const char*> actions[] = {
        {"commit", "decide: make it consumable"},
        {"rollback", "decide: discard it"},
        {"recheck", "ask its producers again, from the first check"}};
    for (const auto& [action, what] : actions) {
      auto* act = tx->add_subcommand(action, what);
      act->add_option("id", id_, "transaction id")->required();
      const std::string name = action;
      on_client(act, [this, name](AdminClient& client, Format format) {
        return act_on_transaction(client, name, id_, format);
      });
    }
  }

  void add_dead_letters() {
    auto* dlq = app_.add_subcommand("dlq", "what was given up: messages and deliveries");
    dlq->require_subcommand(1);
    on_client(dlq->add_subcommand("list", "all, with the reason"),
              [](AdminClient& client, Format format) { return list_dead_letters(client, format); });
    auto* redrive = dlq->add_subcommand("redrive", "send one on again");
    redrive->add_option("id", id_, "its id in `dlq list`")->required();
    on_client(redrive, [this](AdminClient& client, Format format) { return redrive_dead_letter(client, id_, format); });
  }

  void add_topics() {
    auto* topic = app_.add_subcommand("topic", "the broker's topics");
    topic->require_subcommand(1);
    on_client(topic->add_subcommand("list", "all, with what they hold"),
              [](AdminClient& client, Format format) { return list_topics(client, format); });
    auto* create = topic->add_subcommand("create", "a topic of a type");
    create->add_option("name", id_, "its name")->required();
    create->add_option("--type", type_, "NORMAL, TRANSACTION or MIXED")->capture_default_str();
    on_client(create, [this](AdminClient& client, Format format) { return create_topic(client, id_, type_, format); });
    auto* group = app_.add_subcommand("group", "the broker's consumer groups");
    group->require_subcommand(1);
    on_client(group->add_subcommand("list", "all, with their backlog"),
              [](AdminClient& client, Format format) { return list_groups(client, format); });
    auto* make = group->add_subcommand("create", "a group that sees each topic from its first message on");
    make->add_option("name", id_, "its name")->required();
    on_client(make, [this](AdminClient& client, Format format) { return create_group(client, id_, format); });
  }

  void add_reconcile() {
    auto* reconcile =
        app_.add_subcommand("reconcile", "prove the promises from what is stored; 0 clean, 1 findings, 2 could not");
    add_config_options(reconcile);
    reconcile->add_option("--from", reconcile_.from, "orders committed at or after this time (RFC 3339)");
    reconcile->add_option("--until", reconcile_.until, "and before this one; default: `--grace` ago");
    reconcile->add_option("--grace", reconcile_.grace, "younger orders may still be on their way")
        ->capture_default_str();
    on(reconcile, [this] {
      reconcile_.admin = invocation_.admin;
      reconcile_.admin_token = invocation_.token;
      return reconcile_command(invocation_.sources, reconcile_, invocation_.json);
    });
  }

  void add_config() {
    auto* config = app_.add_subcommand("config", "the configuration");
    config->require_subcommand(1);
    auto* explain = config->add_subcommand("explain", "every key with its meaning, bounds and present value, as TOML");
    add_config_options(explain);
    on(explain, [this] { return explain_config(invocation_.sources); });
    auto* check = config->add_subcommand("check", "is this configuration right? 0 yes, 2 no");
    add_config_options(check);
    on(check, [this] { return check_config(invocation_.sources); });
    on(config->add_subcommand("faults", "the fault points that `serve --fault` takes"),
       [] { return list_fault_points(); });
  }

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
  static int list_fault_points() {
    for (const sys::FaultPointInfo& point : sys::all_fault_points()) {
      std::printf("%-36.*s %.*s\n", int(point.name.size()), point.name.data(), int(point.where.size()),
                  point.where.data());
    }
    return kExitYes;
  }

  CLI::App app_{"holdfast", "holdfast"};
  Invocation invocation_;
  ServeOptions serve_;
  DemoOptions demo_;
  ReconcileOptions reconcile_;
  console::OrderRequest order_;
  std::string id_, state_, type_ = "MIXED";
};

}  // namespace

int run_command_line(int argc, const char* const* argv) { return CommandLine().run(argc, argv); }

}  // namespace hf::app
