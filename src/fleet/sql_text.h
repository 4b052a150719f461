// As much of the grammar of SQL as is needed to tell one statement from the next, with ClickHouse's
// quotes, in which a backslash takes the next letter as it is.
#pragma once

#include <cstddef>
#include <string_view>

namespace tide::fleet {

// Where the ';' behind the first statement stands, or the end.
size_t end_of_statement(std::string_view sql);

// Without blanks, comments and ';' in front.
std::string_view behind_blanks(std::string_view sql);

}  // namespace tide::fleet
