#pragma once

/// What was measured: figures over rounds, as a table for people and as JSON for programs.

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace hf::bench {

enum class Better { higher, lower };

/// One figure of one round.
struct Sample {
  std::string name;
  std::string unit;
  Better better = Better::higher;
  double value = 0;
  /// What disk and loopback of the same round would allow for this figure; 0: they do not bound it.
  double limit = 0;
  std::optional<double> target{};  ///< value at least, or at most, this
};

/// The same figure over all rounds, in the order of first appearance.
struct Figure {
  std::string name, unit;
  Better better = Better::higher;
  std::optional<double> target;
  std::vector<double> rounds;
  std::vector<double> limits;  ///< one per round, or empty
};

/// Of a copy; 0 if empty. The lower one of the two in the middle of an even count.
double median(std::vector<double> values);
/// Nearest rank, 0 ≤ q ≤ 1.
double quantile(std::vector<double> values, double q);
/// Part of what the limit allows, 0 … 1; 0 without a limit.
double efficiency(const Figure& figure);
std::optional<bool> met(const Figure& figure);

class Report {
 public:
  void add(const Sample& sample);
  const std::vector<Figure>& figures() const { return figures_; }
  std::string table() const;

 private:
  std::vector<Figure> figures_;
};

/// Everything a figure needs beside it to mean something.
struct Context {
  std::string version, commit, date, folder;
  std::string cpu, kernel, file_system;
  unsigned cores = 0;
  double memory_gib = 0, load_before = 0, load_after = 0;
  int rounds = 0;
  double seconds = 0;
  std::uint64_t backlog = 0;
};

/// cpu, cores, memory, kernel, file system of `folder`, load average.
Context describe_machine(const std::string& folder);
double load_average();
std::string heading(const Context& context);
std::string to_json(const Context& context, const Report& report);

}  // namespace hf::bench
