#include "inspect/text.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string_view>
#include <vector>

namespace tide::inspect {
namespace {

using namespace std::string_view_literals;

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

bool is_text(std::string_view text) {
  return inspect::is_text(bytes_of(text), text_length(bytes_of(text)));
}

TEST(Text, EndsAtAZeroOrFillsTheBlock) {
  EXPECT_TRUE(is_text("hello\0\1\2\3"sv));
  EXPECT_TRUE(is_text("all of it is text"sv));
  EXPECT_TRUE(is_text("two\nlines\0"sv));
  EXPECT_TRUE(is_text("gr\xc3\xbc\xc3\x9f dich\0\0"sv));
}

TEST(Text, IsLongEnoughAndPrintable) {
  EXPECT_FALSE(is_text("abc\0\0\0\0\0"sv));
  EXPECT_FALSE(is_text("abcdef\1\2\3\4\5\6"sv));
  EXPECT_FALSE(is_text("\x80\x81\x82\x83\x84"sv));
  EXPECT_FALSE(is_text(""sv));
}

TEST(Text, IsNoBrokenUtf8) {
  EXPECT_EQ(text_length(bytes_of("abcd\xc0\x80"sv)), 4U);      // too long a form of 0
  EXPECT_EQ(text_length(bytes_of("abcd\xc2\x9b"sv)), 4U);      // moves the cursor
  EXPECT_EQ(text_length(bytes_of("abcd\xed\xa0\x80"sv)), 4U);  // half of a UTF-16 pair
  EXPECT_EQ(text_length(bytes_of("abcd\xf4\x90\x80\x80"sv)), 4U);
  EXPECT_EQ(text_length(bytes_of("abcd\xe2\x82"sv)), 4U);  // cut off
  EXPECT_TRUE(is_text("abcd\xe2\x82"sv));                  // by the end of the look
}

TEST(Text, WideUnits) {
  const char16_t sixteen[] = u"Grüße";
  const char32_t thirty_two[] = U"hello";
  const Bytes first = std::as_bytes(std::span(sixteen));
  const Bytes second = std::as_bytes(std::span(thirty_two));
  EXPECT_EQ(wide_text_length(first, 2), 10U);
  EXPECT_EQ(wide_text_length(second, 4), 20U);
  EXPECT_EQ(wide_text_length(second, 2), 0U);
  EXPECT_EQ(wide_text_length(bytes_of("hello\0\0\0"sv), 2), 0U);
  const uint16_t numbers[] = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(wide_text_length(std::as_bytes(std::span(numbers)), 2), 0U);
  const uint16_t signs[] = {33, 42, 43, 37, 36, 0};
  EXPECT_EQ(wide_text_length(std::as_bytes(std::span(signs)), 2), 0U);
  EXPECT_EQ(shown_wide_text(first, 2, 100), "\"Grüße\"");
}

TEST(Text, IsShownOnOneLineAndBounded) {
  EXPECT_EQ(shown_text(bytes_of("a\tb\nc\0"sv), 100), "\"a\\tb\\nc\"");
  EXPECT_EQ(shown_text(bytes_of("abcdefgh"sv), 4), "\"abcd\"...");
  EXPECT_EQ(shown_text(bytes_of("abc\xc3\xbc"sv), 4), "\"abc\"...");
  EXPECT_EQ(hex_and_text(bytes_of("Hi\0\x1b"sv), 16), "48 69 00 1b  Hi..");
}

}  // namespace
}  // namespace tide::inspect
