/// The product's table: what `./dev bench` runs. docs/benchmarks.md says what each line means.

#include <fmt/format.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "app/child_process.h"
#include "app/version.h"
#include "base/log.h"
#include "suites.h"

namespace hf::bench {
namespace {

const std::vector<std::string> kSuites = {"grpc", "local", "orders", "modes", "match", "start", "memory"};

struct Options {
  std::string json = "bench.json", binary{}, folder{};
  int rounds = 3;
  std::set<std::string> only{kSuites.begin(), kSuites.end()};
  Plan plan{};
};

void usage() {
  fmt::print(stderr,
             "usage: hf_bench [NAME …] [--rounds N] [--only NAME,…] [--seconds S] [--quick] [--json FILE]\n"
             "                [--dir FOLDER] [--binary HOLDFAST]\n\n"
             "  --rounds   each figure is the median of so many rounds, 1 … 100 (3)\n"
             "  NAME …     the same as --only NAME,…\n"
             "  --only     {}; the limits of disk and loopback are always measured\n"
             "  --seconds  for each line, 0.05 … 60 (1)\n"
             "  --quick    one short round: shows that all of it runs, its figures mean nothing\n"
             "  --json     where the figures are written for programs (bench.json)\n"
             "  --dir      a folder on the disk to be measured (the system's temporary folder)\n"
             "  --binary   the holdfast to be measured (that of the same build)\n",
             fmt::join(kSuites, ", "));
}

Result<std::set<std::string>> parse_only(const std::string& text) {
  std::set<std::string> only;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string name = text.substr(at, end - at);
    if (std::find(kSuites.begin(), kSuites.end(), name) == kSuites.end()) {
      return Error{Code::invalid, fmt::format("there is nothing named '{}' to be measured", name)};
    }
    only.insert(name);
    at = end + 1;
  }
  return only;
}

Result<double> parse_number(const std::string& option, const std::string& text, double low, double high) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value >= low && value <= high)) {
    return Error{Code::invalid, fmt::format("{}: '{}' is not a number of {} … {}", option, text, low, high)};
  }
  return value;
}

Result<void> parse_one(Options& options, const std::string& option, const std::string& value) {
  if (option == "--json") {
    options.json = value;
  } else if (option == "--binary") {
    options.binary = value;
  } else if (option == "--dir") {
    options.folder = value;
  } else if (option == "--only") {
    HF_TRY(options.only, parse_only(value));
  } else if (option == "--rounds") {
    HF_TRY(const double rounds, parse_number(option, value, 1, 100));
    options.rounds = static_cast<int>(rounds);
  } else if (option == "--seconds") {
    HF_TRY(options.plan.seconds, parse_number(option, value, 0.05, 60));
  } else {
    return Error{Code::invalid, fmt::format("there is no option {}", option)};
  }
  return ok();
}

Result<Options> parse(int argc, char** argv) {
  Options options;
  std::set<std::string> named;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--quick") {
      options.rounds = 1;
      options.plan.seconds = 0.1;
      options.plan.backlog = 10'000;
      options.plan.idle_orders = 10;
      continue;
    }
    if (!option.starts_with("-")) {
      HF_TRY(const std::set<std::string> names, parse_only(option));
      named.insert(names.begin(), names.end());
      continue;
    }
    if (i + 1 == argc)
      return Error{Code::invalid, fmt::format("{}: a value is missing, or there is no such option", option)};
    HF_TRY(parse_one(options, option, argv[++i]));
  }
  if (!named.empty()) options.only = named;
  if (options.binary.empty()) {
    const std::filesystem::path own = app::own_path();  // build/<preset>/tests/bench/hf_bench
    options.binary = own.parent_path().parent_path().parent_path() / "src" / "app" / "holdfast";
  }
  if (!std::filesystem::exists(options.binary)) {
    return Error{Code::not_found, options.binary + " is not there: build the target holdfast, or say --binary"};
  }
  return options;
}

Result<std::string> make_folder(const std::string& above) {
  const std::filesystem::path parent =
      above.empty() ? std::filesystem::temp_directory_path() : std::filesystem::path(above);
  std::string pattern = (std::filesystem::absolute(parent) / "hf-bench-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) return Error{Code::denied, "no folder can be made in " + parent.string()};
  return pattern;
}

Result<void> run_round(const Options& options, Report& report) {
  const auto wanted = [&](const char* name) { return options.only.contains(name); };
  const auto say = [](const char* what) { fmt::print(stderr, "  {}\n", what); };
  const Plan& plan = options.plan;
  say("limits of disk and loopback");
  HF_TRY(const Limits limits, measure_limits(plan.folder, std::min(1.0, plan.seconds), report));
  if (wanted("grpc")) say("messages over gRPC");
  if (wanted("grpc")) HF_TRY(measure_messages_over_grpc(plan, limits, report));
  if (wanted("local")) say("messages in one process");
  if (wanted("local")) HF_TRY(measure_messages_in_process(plan, limits, report));
  if (wanted("orders")) say("orders");
  if (wanted("orders")) HF_TRY(measure_orders(plan, limits, report));
  if (wanted("modes")) say("consistency modes");
  if (wanted("modes")) HF_TRY(measure_modes(plan, limits, report));
  if (wanted("match")) say("matching");
  if (wanted("match")) HF_TRY(measure_matching(plan, report));
  if (wanted("start")) say("start and memory at rest");
  if (wanted("start")) HF_TRY(measure_start(plan, report));
  if (wanted("memory")) say("memory with a backlog");
  if (wanted("memory")) HF_TRY(measure_backlog(plan, report));
  return ok();
}

Result<void> run(Options options) {
  HF_TRY(options.plan.folder, make_folder(options.folder));
  options.plan.binary = options.binary;
  Context context = describe_machine(options.plan.folder);
  context.version = app::version();
  context.commit = app::commit();
  context.rounds = options.rounds;
  context.seconds = options.plan.seconds;
  context.backlog = options.plan.backlog;
  Report report;
  for (int round = 1; round <= options.rounds; ++round) {
    fmt::print(stderr, "round {} of {}\n", round, options.rounds);
    // What was written stays for a look at the server's log if something failed.
    if (Result<void> done = run_round(options, report); !done) {
      return done.error().with_context("measuring in " + options.plan.folder);
    }
  }
  std::filesystem::remove_all(options.plan.folder);
  context.load_after = load_average();
  fmt::print("{}\n{}", heading(context), report.table());
  std::ofstream json(options.json);
  json << to_json(context, report);
  if (!json.flush()) return Error{Code::denied, options.json + " cannot be written"};
  return ok();
}

}  // namespace
}  // namespace hf::bench

int main(int argc, char** argv) {
  hf::log::set_level(hf::log::Level::warn);
  if (argc == 2 && (argv[1] == std::string_view("--help") || argv[1] == std::string_view("-h"))) {
    hf::bench::usage();
    return 0;
  }
  auto options = hf::bench::parse(argc, argv);
  if (!options) {
    fmt::print(stderr, "hf_bench: {}\n\n", options.error().message);
    hf::bench::usage();
    return 2;
  }
  const hf::Result<void> done = hf::bench::run(std::move(*options));
  if (done) return 0;
  fmt::print(stderr, "hf_bench: {}\n", done.error().to_string());
  return 1;
}
