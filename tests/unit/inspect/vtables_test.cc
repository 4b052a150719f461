#include "inspect/vtables.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/inspect/fake_target.h"

namespace tide::inspect {
namespace {

class VtablesTest : public testing::Test {
 protected:
  static constexpr uint64_t kPlace = FakeProgram::kConstants + 0xf00;

  std::string class_of(uint64_t word) {
    const Modules modules(program_.target);
    Vtables vtables(program_.target, modules);
    const uint32_t number = vtables.class_of(word);
    return number == Vtables::kNone ? "none" : vtables.name(number);
  }

  FakeProgram program_;
};

TEST_F(VtablesTest, NamesTheClass) {
  EXPECT_EQ(class_of(program_.add_class("3Foo")), "Foo");
  EXPECT_EQ(class_of(program_.add_class("N4pond4FishE")), "pond::Fish");
  EXPECT_EQ(class_of(program_.add_class("*N12_GLOBAL__N_16HiddenE")),
            "(anonymous namespace)::Hidden");
  EXPECT_EQ(class_of(program_.add_class("St13runtime_error")), "std::runtime_error");
}

TEST_F(VtablesTest, OneClassOfTwoVtables) {
  const uint64_t first = program_.add_class("3Foo");
  const uint64_t second = program_.add_class("3Foo");
  const Modules modules(program_.target);
  Vtables vtables(program_.target, modules);
  EXPECT_EQ(vtables.class_of(first), vtables.class_of(second));
  EXPECT_EQ(vtables.count(), 1U);
}

TEST_F(VtablesTest, WithoutTypeInformationItHasAPlace) {
  program_.target.write_words(kPlace, {0, 0, FakeProgram::kCode + 8});
  EXPECT_EQ(class_of(kPlace + 16), "(vtable at program+0x2f10)");
}

TEST_F(VtablesTest, OtherWordsAreNone) {
  const uint64_t vtable = program_.add_class("3Foo");
  EXPECT_EQ(class_of(0), "none");
  EXPECT_EQ(class_of(vtable + 4), "none");
  EXPECT_EQ(class_of(vtable - 8), "none");
  EXPECT_EQ(class_of(FakeProgram::kHeap), "none");
  EXPECT_EQ(class_of(FakeProgram::kConstants), "none");  // nothing before it
  EXPECT_EQ(class_of(FakeProgram::kConstants + 8), "none");
  EXPECT_EQ(class_of(UINT64_MAX - 7), "none");
  program_.target.write_words(kPlace, {0, 0, 5});  // no function
  EXPECT_EQ(class_of(kPlace + 16), "none");
}

TEST_F(VtablesTest, TypeInformationThatIsNone) {
  const uint64_t vtable = program_.add_class("3Foo");
  const uint64_t type = vtable - 16 + 0x40;
  program_.target.write_word(vtable, 0);  // no function either: nothing speaks for a vtable

  program_.target.write_word(type + 8, vtable);  // the name is no text
  EXPECT_EQ(class_of(vtable), "none");
  program_.target.write_word(type + 8, 0x1234);  // is nowhere
  EXPECT_EQ(class_of(vtable), "none");
  program_.target.write_text(kPlace, "i");  // is a type, but no class
  program_.target.write_word(type + 8, kPlace);
  EXPECT_EQ(class_of(vtable), "none");
  program_.target.write_word(vtable - 8, vtable - 8);  // points to itself
  EXPECT_EQ(class_of(vtable), "none");
}

TEST_F(VtablesTest, ANameWithoutAnEnd) {
  const uint64_t vtable = program_.add_class("3Foo");
  const uint64_t last = FakeProgram::kConstants + FakeProgram::kBytes - 4;
  program_.target.write_text(last, "3Foo");
  program_.target.write_word(vtable - 16 + 0x48, last);
  program_.target.write_word(vtable, 0);
  EXPECT_EQ(class_of(vtable), "none");
}

}  // namespace
}  // namespace tide::inspect
