#include "console/table.h"

namespace hf::console {
namespace {

TEST(Table, ColumnsLineUpAndNumbersStandRight) {
  Table table({"order", "pieces", "status"});
  table.row({"é1", "2", "confirmed"});
  table.row({"o-22", "113", ""});
  EXPECT_EQ(table.print(),
            "order  pieces  status\n"
            "é1          2  confirmed\n"
            "o-22      113\n");
}

}  // namespace
}  // namespace hf::console
