#include "app/demo.h"

#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <filesystem>

#include "app/child_process.h"
#include "app/cli.h"
#include "app/data_layout.h"
#include "app/demo_load.h"
#include "app/demo_plan.h"
#include "app/reconcile_command.h"
#include "app/report.h"
#include "base/log.h"
#include "console/commands.h"
#include "sys/loop.h"
#include "sys/wait.h"

namespace hf::app {
namespace {

namespace json = boost::json;

constexpr Duration kStartLimit = 20s, kLoadLimit = 120s, kProgressEvery = 200ms;

/// A line that rewrites itself on a terminal, and a plain line every few seconds elsewhere.
class Progress {
 public:
  explicit Progress(sys::Clock& clock) : clock_(clock), live_(::isatty(STDERR_FILENO) == 1) {}
  void show(const std::string& text) {
    if (live_) {
      std::fprintf(stderr, "\r\033[K%s", text.c_str());
    } else if (clock_.now() >= next_) {
      std::fprintf(stderr, "%s\n", text.c_str());
      next_ = clock_.now() + 2s;
    }
    std::fflush(stderr);
  }
  void line(const std::string& text) {
    std::fprintf(stderr, live_ ? "\r\033[K%s\n" : "%s\n", text.c_str());
    std::fflush(stderr);
  }

 private:
  sys::Clock& clock_;
  const bool live_;
  Monotonic next_{};
};

class Demo {
 public:
  Demo(sys::World world, const DemoOptions& options, std::string folder)
      : world_(world), options_(options), folder_(std::move(folder)), random_(options.seed), progress_(world.clock) {}

  Task<int> run(bool as_json);

 private:
  Result<void> write_config();
  Task<> start_server();
  Task<> run_load();
  void kill_database();
  asio::awaitable<void> kill_under_load(const DemoLoad& load, bool& done);
  asio::awaitable<void> report_progress(const DemoLoad& load, bool& done);
  Task<reconcile::Report> settle();
  Task<> print(const reconcile::Report& report, bool as_json);
  std::vector<std::string> failures(const reconcile::Report& report) const;
  std::string url(const std::string& role) const { return "http://" + addresses_.at(role); }

  sys::World world_;
  const DemoOptions options_;
  const std::string folder_;
  sys::SeededRandom random_;
  Progress progress_;
  std::optional<ChildProcess> server_;
  std::map<std::string, std::string> addresses_;  ///< role → host:port
  std::vector<DemoItem> items_;
  std::vector<PlannedOrder> plan_;
  LoadReport load_;
  std::int64_t kills_ = 0;
  Duration load_time_{}, settle_time_{};
  std::optional<Error> failed_;
};

Result<void> Demo::write_config() {
  std::string items;
  for (const DemoItem& item : items_) {
    items +=
        fmt::format("{}\"{};{};{};{}\"", items.empty() ? "" : ", ", item.id, item.name, item.price_minor, item.stock);
  }
  // Producers that die leave half messages behind: ask about them soon, so that the demo need not wait.
  const std::string text =
      fmt::format("[shop]\nitems = [{}]\n\n[broker]\nfirst_check = \"1s\"\ncheck_interval = \"2s\"\n", items);
  return sys::replace_file(world_.files, folder_ + "/demo.toml", text);
}

Task<> Demo::start_server() {
  const std::string ready = folder_ + "/ready";
  (void)world_.files.remove(ready);  // absent before the first start
  std::vector<std::string> arguments{
      own_path(),     "serve", "--data",  folder_ + "/data", "--config", folder_ + "/demo.toml",
      "--ready-file", ready,   "--store", options_.store};
  for (const char* role : {"broker", "shop", "router", "notifier", "phone", "console"}) {
    const auto known = addresses_.find(role);
    const std::string port = known == addresses_.end() ? "0" : known->second.substr(known->second.rfind(':') + 1);
    arguments.push_back("--set");
    arguments.push_back(fmt::format("{}.port={}", role, port));
  }
  HF_CO_TRY(ChildProcess child, ChildProcess::start(arguments, folder_ + "/server.log"));
  server_.emplace(std::move(child));
  const Monotonic limit = world_.clock.now() + kStartLimit;
  while (world_.clock.now() < limit) {
    if (const std::optional<int> code = server_->poll()) {
      co_return Error{Code::unavailable, fmt::format("the server ended with {}; see {}/server.log", *code, folder_)};
    }
    if (const auto text = sys::read_file(world_.files, ready)) {
      std::string_view rest = *text;
      while (!rest.empty()) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        if (const std::size_t space = line.find(' '); space != std::string_view::npos) {
          addresses_[std::string(line.substr(0, space))] = std::string(line.substr(space + 1));
        }
      }
      co_return ok();
    }
    co_await world_.clock.sleep_for(5ms);
  }
  co_return Error{Code::timeout, fmt::format("the server was not ready in time; see {}/server.log", folder_)};
}

/// The MariaDB server that the process we started has started: its id is in its folder.
void Demo::kill_database() {
  const auto text = sys::read_file(world_.files, folder_ + "/data/mariadb/all/pid");
  const pid_t pid = text ? static_cast<pid_t>(std::strtol(text->c_str(), nullptr, 10)) : 0;
  if (pid > 1) ::kill(pid, SIGKILL);
}

asio::awaitable<void> Demo::kill_under_load(const DemoLoad& load, bool& done) {
  // Random moments, measured in answered orders so that they fall under load on any machine.
  std::vector<std::uint64_t> moments;
  for (std::int64_t i = 0; i < options_.kills; ++i) {
    const auto span = static_cast<std::uint64_t>(options_.orders) * 8 / 10;
    moments.push_back(static_cast<std::uint64_t>(options_.orders) / 10 + random_.below(span + 1));
  }
  std::sort(moments.begin(), moments.end());
  for (const std::uint64_t moment : moments) {
    while (!done && static_cast<std::uint64_t>(load.answered()) < moment) co_await world_.clock.sleep_for(1ms);
    if (done) co_return;
    ++kills_;
    if (options_.store != "sqlite" && random_.below(2) == 0) {
      // The process lives on, answers 503, and starts its database again.
      kill_database();
      progress_.line(fmt::format("kill -9 of the MariaDB server after {} answers", load.answered()));
      continue;
    }
    server_->kill_now();
    progress_.line(fmt::format("kill -9 after {} answers; starting again", load.answered()));
    if (auto started = co_await start_server(); !started) {
      failed_ = started.error();
      co_return;
    }
  }
}

asio::awaitable<void> Demo::report_progress(const DemoLoad& load, bool& done) {
  while (!done) {
    const LoadReport& report = load.report();
    progress_.show(fmt::format("orders {}/{}  confirmed {}  broken off and repeated {}  kills {}", report.answered,
                               options_.orders, report.confirmed, report.broken_off, kills_));
    co_await world_.clock.sleep_for(kProgressEvery);
  }
}

Task<> Demo::run_load() {
  const Monotonic start = world_.clock.now();
  DemoLoad load(world_, url("shop"), plan_, options_.buyers, start + kLoadLimit);
  bool done = false;
  sys::TaskGroup beside(world_.executor, world_.clock);
  beside.spawn("killer", kill_under_load(load, done));
  beside.spawn("progress", report_progress(load, done));
  co_await load.run();
  load_time_ = world_.clock.now() - start;
  done = true;
  co_await beside.join();
  load_ = load.report();
  if (failed_) co_return *failed_;
  co_return ok();
}

Task<reconcile::Report> Demo::settle() {
  const Monotonic start = world_.clock.now();
  ConfigSources sources;
  sources.file = folder_ + "/demo.toml";
  sources.data = folder_ + "/data";
  HF_CO_TRY(const Config config, load_configuration_beside(world_, sources));
  for (;;) {
    const reconcile::Window everything;
    Result<reconcile::Report> report = co_await run_reconciliation(world_, config, url("console"), "", everything);
    if (!report) co_return report;
    settle_time_ = world_.clock.now() - start;
    progress_.show(fmt::format("settling: {} on their way", report->open));
    if (report->open == 0 || settle_time_ > std::chrono::seconds(options_.settle_s)) co_return report;
    co_await world_.clock.sleep_for(250ms);
  }
}

std::vector<std::string> Demo::failures(const reconcile::Report& report) const {
  std::vector<std::string> all = load_.violations;
  if (load_.gave_up > 0) all.push_back(fmt::format("{} buyers never got an answer", load_.gave_up));
  if (report.open > 0) all.push_back(fmt::format("{} orders did not settle", report.open));
  if (!report.clean()) all.push_back(fmt::format("{} findings", report.findings.size()));
  if (report.confirmed != load_.confirmed) {
    all.push_back(
        fmt::format("buyers were told of {} confirmed orders, the shop has {}", load_.confirmed, report.confirmed));
  }
  if (kills_ != options_.kills) all.push_back(fmt::format("{} kills of {}", kills_, options_.kills));
  return all;
}

Task<> Demo::print(const reconcile::Report& report, bool as_json) {
  const std::vector<std::string> wrong = failures(report);
  std::vector<std::int64_t> answers = load_.answer_us;
  std::sort(answers.begin(), answers.end());
  if (as_json) {
    json::object refused;
    for (const auto& [code, count] : load_.refused) refused[code] = count;
    json::array problems(wrong.begin(), wrong.end());
    const json::object body{{"ok", wrong.empty()},
                            {"problems", std::move(problems)},
                            {"random", options_.seed},
                            {"orders", options_.orders},
                            {"kills", kills_},
                            {"buyers",
                             {{"answered", load_.answered},
                              {"confirmed", load_.confirmed},
                              {"refused", std::move(refused)},
                              {"repeated_same_answer", load_.repeated_same},
                              {"broken_off", load_.broken_off},
                              {"answer_us", {{"p50", percentile(answers, 0.5)}, {"p99", percentile(answers, 0.99)}}}}},
                            {"reconciliation", json::parse(report_json(report))}};
    std::printf("%s\n", json::serialize(body).c_str());
    co_return ok();
  }
  std::string refused;
  for (const auto& [code, count] : load_.refused)
    refused += fmt::format("{}{} {}", refused.empty() ? "" : ", ", count, code);
  std::printf("\n%ld orders by %ld buyers in %.1f s, %ld kills, settled in %.1f s (random %lu)\n\n", options_.orders,
              options_.buyers, std::chrono::duration<double>(load_time_).count(), kills_,
              std::chrono::duration<double>(settle_time_).count(), options_.seed);
  std::printf("buyers: %ld answered, %ld confirmed, refused: %s\n", load_.answered, load_.confirmed, refused.c_str());
  std::printf("        %ld tries broken off and repeated, %ld repeats with the same key got the same answer\n",
              load_.broken_off, load_.repeated_same);
  std::printf("        answer p50 / p99: %s / %s\n\n", percentile_text(answers, 0.5).c_str(),
              percentile_text(answers, 0.99).c_str());
  std::printf("%s\n", print_report(report).c_str());
  if (!load_.example_order_id.empty()) {
    std::printf("one order's way (holdfast show order %s):\n\n", load_.example_order_id.c_str());
    std::fflush(stdout);
    console::AdminClient client(world_, url("console"), "");
    HF_CO_TRY(co_await console::show_order(client, load_.example_order_id, console::Format::text));
  }
  std::printf("\n");
  for (const std::string& problem : wrong) std::printf("WRONG: %s\n", problem.c_str());
  std::printf("%s\n", wrong.empty()
                          ? "PASS: nothing lost, nothing doubled, nothing sent for an order that did not commit"
                          : "FAIL");
  co_return ok();
}

Task<int> Demo::run(bool as_json) {
  items_ = demo_items(options_.orders);
  plan_ = demo_plan(options_.orders, items_, random_);
  HF_CO_TRY(write_config());
  HF_CO_TRY(co_await start_server());
  progress_.line(fmt::format("serving from {}; {} orders, {} kills to come", folder_, options_.orders, options_.kills));
  HF_CO_TRY(co_await run_load());
  HF_CO_TRY(const reconcile::Report report, co_await settle());
  progress_.line("settled");
  HF_CO_TRY(co_await print(report, as_json));
  const std::optional<int> drained = server_->terminate(10s);
  if (drained != 0) progress_.line("the server did not shut down cleanly");
  co_return failures(report).empty() && drained == 0 ? kExitYes : kExitNo;
}

/// The folder the demo works in; gone afterwards unless it is to be kept or something went wrong.
Result<std::string> make_folder(const DemoOptions& options) {
  if (!options.data.empty()) {
    if (std::filesystem::exists(options.data)) return Error{Code::conflict, options.data + " exists already"};
    std::error_code failed;
    std::filesystem::create_directories(options.data, failed);
    if (failed) return Error{Code::denied, fmt::format("creating {}: {}", options.data, failed.message())};
    return options.data;
  }
  std::string pattern = (std::filesystem::temp_directory_path() / "holdfast-demo-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) return Error{Code::denied, "creating a temporary folder failed"};
  return pattern;
}

}  // namespace

int demo_command(const DemoOptions& options, bool json) {
  log::set_level(log::Level::error);
  sys::Loop loop;
  DemoOptions chosen = options;
  if (chosen.seed == 0) chosen.seed = loop.world().random.below(1'000'000'000) + 1;
  const Result<std::string> folder = make_folder(chosen);
  if (!folder) {
    std::fprintf(stderr, "holdfast: %s\n", folder.error().message.c_str());
    return kExitNotDone;
  }
  Demo demo(loop.world(), chosen, *folder);
  const Result<int> code = loop.run_until_done(demo.run(json));
  if (!code) std::fprintf(stderr, "\nholdfast: %s\n", code.error().message.c_str());
  const bool remove = !chosen.keep && code && *code == kExitYes;
  std::error_code failed;
  if (remove) std::filesystem::remove_all(*folder, failed);
  if (!remove) std::fprintf(stderr, "the data folder is left for a look: %s\n", folder->c_str());
  return code ? *code : kExitNotDone;
}

}  // namespace hf::app
