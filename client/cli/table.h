// Table: columns for people, aligned, upper-case headings, two spaces between columns.
#ifndef VARVE_CLIENT_CLI_TABLE_H_
#define VARVE_CLIENT_CLI_TABLE_H_

#include <string>
#include <vector>

namespace varve::cli {

enum class Align { kLeft, kRight };

class Table {
 public:
  struct Column {
    std::string heading;
    Align align = Align::kLeft;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as there are columns. Control characters are shown as '?': a name that came from
  // elsewhere must not steer the terminal.
  void AddRow(std::vector<std::string> cells);
  // With a line end after every row; no blanks at the end of a line. `bold`: the headings.
  [[nodiscard]] std::string Render(bool bold) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_TABLE_H_
