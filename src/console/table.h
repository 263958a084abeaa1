#pragma once

/// Tables for people: columns as wide as their widest cell, numbers to the right.

#include <string>
#include <vector>

namespace hf::console {

class Table {
 public:
  explicit Table(std::vector<std::string> heads) : heads_(std::move(heads)) {}
  /// As many cells as heads.
  void row(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  /// Ends with a newline. Widths are counted in UTF-8 characters.
  std::string print() const;

 private:
  std::vector<std::string> heads_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace hf::console
