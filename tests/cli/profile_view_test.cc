#include "cli/profile_view.h"

#include <gtest/gtest.h>

#include <string>

namespace tide::cli {
namespace {

using profile::Kind;
using profile::Profile;

// One sample that stands for ten blocks, each of which pins a page.
Profile pinned_by_ten() {
  Profile profile{};
  profile.table.gap_bytes = 1 << 20;
  profile.stacks.push_back({});
  profile.blocks.push_back(
      {.address = 4096, .bytes = 100, .time_ns = 0, .weight = 10, .stack = 0, .thread = 1});
  profile.pages.push_back({.address = 4096, .pinned = 3996, .resident = 100, .swapped = 0});
  profile.has_pages = profile.has_pins = true;
  return profile;
}

std::string text_of(const Profile& profile) {
  profile::Names names(profile);
  return profile_text(profile, names, Kind::kFragmentation, 20);
}

TEST(ProfileView, SaysThatNoSampleFellOnWhatPinsMost) {
  Profile profile = pinned_by_ten();
  EXPECT_EQ(text_of(profile).find("not in it"), std::string::npos) << "not known";
  profile.pinned_bytes = 80'000;
  EXPECT_EQ(text_of(profile).find("not in it"), std::string::npos) << "too little to matter";
  profile.pinned_bytes = 50'000'000;
  EXPECT_NE(text_of(profile).find("not in it: most of what is pinned"), std::string::npos);
  profile.blocks[0].weight = 10'000;
  EXPECT_EQ(text_of(profile).find("not in it"), std::string::npos) << "it is in the table";
}

}  // namespace
}  // namespace tide::cli
