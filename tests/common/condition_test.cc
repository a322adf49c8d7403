// The closed list of conditions, and its documentation.
#include "common/condition.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "common/strings.h"

namespace varve {
namespace {

TEST(ConditionTest, EachHasARowOfItsOwn) {
  std::set<std::string_view> names;
  for (const ConditionInfo& info : AllConditions()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_EQ(&InfoOf(info.code), &info);
    EXPECT_EQ(ConditionNamed(info.name), info.code);
    EXPECT_FALSE(info.advice.empty());
  }
  EXPECT_EQ(ConditionNamed("fine"), std::nullopt);
}

// docs/conditions.md has the same rows, in the same order.
TEST(ConditionTest, TheDocumentHasTheTable) {
  std::ifstream file(VARVE_SOURCE_DIR "/docs/conditions.md");
  std::stringstream text;
  text << file.rdbuf();
  std::string table;
  for (const ConditionInfo& info : AllConditions())
    table += StrCat("| `", info.name, "` | ", NameOf(info.severity), " | ", info.meaning, " | ",
                    info.advice, " |\n");
  EXPECT_NE(text.str().find("|---|---|---|---|\n" + table + "\n"), std::string::npos)
      << "docs/conditions.md should have these rows:\n"
      << table;
}

}  // namespace
}  // namespace varve
