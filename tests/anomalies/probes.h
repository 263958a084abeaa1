#pragma once

/// The classical anomalies, each as two interleaved transactions.

#include <string>
#include <vector>

#include "anomalies/lab.h"

namespace hf::anomalies {

struct Finding {
  bool happens;
  std::string how;  ///< "happens", "no", "no: the writer waits", "no: 1213 deadlock, then run again"
};
struct Probe {
  std::string name;
  Finding (*run)(Lab& lab, Level level);
};

/// One transaction reads what another has written and not committed, and then rolls back.
Finding dirty_read(Lab& lab, Level level);
/// A transaction reads a row twice; another's commit lies between.
Finding non_repeatable_read(Lab& lab, Level level);
/// A transaction counts rows twice; another inserts one between.
Finding phantom(Lab& lab, Level level);
/// Two transactions read a number, and each writes it back one smaller: 10 becomes 9.
Finding lost_update(Lab& lab, Level level);
/// The same as Holdfast writes it: `SET n = n - 1 WHERE n >= 1`, one statement.
Finding lost_guarded_update(Lab& lab, Level level);
/// Two of two are on duty; each transaction sees the other one, and leaves: nobody is.
Finding write_skew(Lab& lab, Level level);

const std::vector<Probe>& probes();

}  // namespace hf::anomalies
