// What mappings are taken for, from made-up lines of /proc/PID/maps.
#include "walk/places.h"

#include <gtest/gtest.h>

#include "host/process_maps.h"

namespace tide::tests {

namespace {

using walk::MappingKind;

std::vector<MappingKind> places_of(std::string_view maps) {
  walk::ProcessPicture picture;
  picture.mappings = host::parse_maps(maps);
  return walk::find_places(picture, {walk::AllocatorKind::kTide, "Tide"});
}

TEST(Places, BehindAGuardPageIsAStackIfItIsLongEnoughForOne) {
  const auto places = places_of(
      "7f0000000000-7f0000001000 ---p 00000000 00:00 0 \n"
      "7f0000001000-7f0000005000 rw-p 00000000 00:00 0 \n"
      "7f0000100000-7f0000101000 ---p 00000000 00:00 0 \n"
      "7f0000101000-7f0000102000 rw-p 00000000 00:00 0 \n"
      "7f0000102000-7f0000103000 ---p 00000000 00:00 0 \n");
  ASSERT_EQ(places.size(), 5u);
  EXPECT_EQ(places[1], MappingKind::kStack);
  EXPECT_EQ(places[3], MappingKind::kAnonymous) << "a sampled block between its guard pages";
}

TEST(Places, AGuardPageMayBeLarger) {
  const auto places = places_of(
      "7f0000000000-7f0000010000 ---p 00000000 00:00 0 \n"
      "7f0000010000-7f0000050000 rw-p 00000000 00:00 0 \n"
      "7f0000100000-7f0000110000 ---p 00000000 00:00 0 \n"
      "7f0000110000-7f0000120000 rw-p 00000000 00:00 0 \n"
      "7f0000120000-7f0000130000 ---p 00000000 00:00 0 \n"
      "7f0000200000-7f0000204000 ---p 00000000 00:00 0 \n"
      "7f0000204000-7f0000244000 rw-p 00000000 00:00 0 \n");
  ASSERT_EQ(places.size(), 7u);
  EXPECT_EQ(places[1], MappingKind::kStack);
  EXPECT_EQ(places[3], MappingKind::kAnonymous) << "a sampled block between its guard pages";
  EXPECT_EQ(places[6], MappingKind::kStack);
}

}  // namespace

}  // namespace tide::tests
