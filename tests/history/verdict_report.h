// What the checker found, for people and for programs.
#ifndef VARVE_TESTS_HISTORY_VERDICT_REPORT_H_
#define VARVE_TESTS_HISTORY_VERDICT_REPORT_H_

#include <iosfwd>

#include "tests/history/checker.h"
#include "tests/history/history.h"

namespace varve::history {

void WriteTable(const History& history, const Verdict& verdict, std::ostream& out);
// One object; docs/history.md names its keys.
void WriteJson(const History& history, const Verdict& verdict, std::ostream& out);

}  // namespace varve::history

#endif  // VARVE_TESTS_HISTORY_VERDICT_REPORT_H_
