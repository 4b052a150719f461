#include "fleet/sql_text.h"

#include <gtest/gtest.h>

namespace tide::fleet {
namespace {

TEST(SqlText, AStatementEndsWithASemicolonOutsideOfQuotesAndComments) {
  const auto first = [](std::string_view sql) { return sql.substr(0, end_of_statement(sql)); };
  EXPECT_EQ(first("SELECT 1"), "SELECT 1");
  EXPECT_EQ(first("SELECT 1; SELECT 2"), "SELECT 1");
  EXPECT_EQ(first("SELECT ';\\';', \"a;\", `b;` ;"), "SELECT ';\\';', \"a;\", `b;` ");
  EXPECT_EQ(first("SELECT 'it''s;' -- ;\n, 2;3"), "SELECT 'it''s;' -- ;\n, 2");
  EXPECT_EQ(first("SELECT /* ; */ 4 - 5;"), "SELECT /* ; */ 4 - 5");
  EXPECT_EQ(first("SELECT 'open;"), "SELECT 'open;");
  EXPECT_EQ(first("SELECT 'open\\"), "SELECT 'open\\");
  EXPECT_EQ(first(""), "");
}

TEST(SqlText, CommentsAreBlanks) {
  EXPECT_EQ(behind_blanks(" ;; -- first\n /* second */\tSELECT 3"), "SELECT 3");
  EXPECT_EQ(behind_blanks("; -- SELECT 2"), "");
  EXPECT_EQ(behind_blanks("/*/ 1"), "");
  EXPECT_EQ(behind_blanks("- 1"), "- 1");
}

}  // namespace
}  // namespace tide::fleet
