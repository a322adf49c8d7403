#include "client/cli/table.h"

#include <algorithm>

namespace varve::cli {
namespace {

// Code points, near enough to columns: topic names are ASCII, values that are not are rare.
size_t WidthOf(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

}  // namespace

void Table::AddRow(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) {
    for (char& c : cell) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    }
  }
  rows_.push_back(std::move(cells));
}

std::string Table::Render(bool bold) const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = WidthOf(columns_[i].heading);
    for (const auto& row : rows_) width = std::max(width, WidthOf(row[i]));
    widths.push_back(width);
  }
  const auto line = [&](const auto& text_of) {
    std::string out;
    for (size_t i = 0; i < columns_.size(); ++i) {
      const std::string& text = text_of(i);
      const std::string pad(widths[i] - WidthOf(text), ' ');
      if (i > 0) out += "  ";
      out += columns_[i].align == Align::kRight ? pad + text : text + pad;
    }
    out.erase(out.find_last_not_of(' ') + 1);
    return out;
  };
  std::string out = line([&](size_t i) -> const std::string& { return columns_[i].heading; });
  if (bold) out = "\033[1m" + out + "\033[0m";
  out += '\n';
  for (const auto& row : rows_)
    out += line([&](size_t i) -> const std::string& { return row[i]; }) + '\n';
  return out;
}

}  // namespace varve::cli
