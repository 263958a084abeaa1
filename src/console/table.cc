#include "console/table.h"

#include <algorithm>

#include "base/assert.h"

namespace hf::console {
namespace {

std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789.,-+ ") == std::string::npos;
}

}  // namespace

void Table::row(std::vector<std::string> cells) {
  HF_ASSERT(cells.size() == heads_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::print() const {
  std::vector<std::size_t> widths;
  std::vector<bool> numeric;
  for (std::size_t column = 0; column < heads_.size(); ++column) {
    std::size_t width = width_of(heads_[column]);
    bool all_numbers = !rows_.empty();
    for (const auto& row : rows_) {
      width = std::max(width, width_of(row[column]));
      all_numbers = all_numbers && (row[column].empty() || is_number(row[column]));
    }
    widths.push_back(width);
    numeric.push_back(all_numbers);
  }
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t column = 0; column < cells.size(); ++column) {
      const std::string padding(widths[column] - width_of(cells[column]), ' ');
      if (column > 0) text += "  ";
      text += numeric[column] ? padding + cells[column] : cells[column] + padding;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  };
  line(heads_);
  for (const auto& row : rows_) line(row);
  return out;
}

}  // namespace hf::console
