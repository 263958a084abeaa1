#include "sql/mysql/xa_probe.h"

namespace hf::sql::mysql {

std::string_view to_string(XaSupport support) {
  switch (support) {
    case XaSupport::yes:
      return "yes";
    case XaSupport::no:
      return "no";
    case XaSupport::unknown:
      return "unknown";
  }
  HF_ASSERT(false);
}

XaSupport probe_xa(Connection& connection, const std::string& id) {
  for (const char* verb : {"START", "END", "ROLLBACK"}) {
    if (connection.control(fmt::format("XA {} 'hf.probe.{}'", verb, id), Phase::xa)) continue;
    // 1064, 1235, 4007: it does not know the statement. Anything else says nothing about XA.
    const bool unknown_statement = connection.last_failure()->verdict.error_class == ErrorClass::bug;
    return unknown_statement ? XaSupport::no : XaSupport::unknown;
  }
  return XaSupport::yes;
}

}  // namespace hf::sql::mysql
