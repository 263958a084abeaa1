#pragma once

/// The reconciliation's report, for people and for programs.

#include <string>

#include "reconcile/audit.h"

namespace hf::app {

std::string print_report(const reconcile::Report& report);
std::string report_json(const reconcile::Report& report);

/// "12.3 ms" at a fraction (0.5, 0.99) of sorted microseconds; "–" without any.
std::string percentile_text(const std::vector<std::int64_t>& sorted_us, double fraction);
/// 0 without any.
std::int64_t percentile(const std::vector<std::int64_t>& sorted, double fraction);

}  // namespace hf::app
