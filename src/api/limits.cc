#include "api/limits.h"

namespace tide::api {

namespace {

constexpr uint64_t kMostReserve = 256 * kMiB;

size_t as_size(uint64_t bytes) {
  if (bytes == sys::kUnlimited) return 0;
  return bytes > SIZE_MAX ? SIZE_MAX : static_cast<size_t>(bytes);
}

size_t chosen(uint64_t option, size_t automatic) {
  return option == kAuto ? automatic : as_size(option);
}

}  // namespace

LimitBytes auto_limits(const sys::CgroupLimits& group) {
  if (group.max == sys::kUnlimited) return {as_size(group.high), 0};
  const uint64_t reserve = group.max / 16 < kMostReserve ? group.max / 16 : kMostReserve;
  const uint64_t soft = group.max / 10 * 9;
  return {as_size(group.high < soft ? group.high : soft), as_size(group.max - reserve)};
}

bool has_auto_limit(const OptionSet& options) {
  return options.number(OptionId::limit_soft) == kAuto ||
         options.number(OptionId::limit_hard) == kAuto;
}

LimitBytes limits_of(const OptionSet& options, const sys::CgroupLimits& group) {
  const LimitBytes automatic = auto_limits(group);
  return {chosen(options.number(OptionId::limit_soft), automatic.soft),
          chosen(options.number(OptionId::limit_hard), automatic.hard)};
}

bool take_over(const OptionSet& options, const sys::CgroupLimits& group, heap::Limits& limits) {
  if (!group.seen) return false;
  const LimitBytes now = limits_of(options, group);
  if (now.soft == limits.soft() && now.hard == limits.hard()) return false;
  limits.set(now.soft, now.hard);
  return true;
}

}  // namespace tide::api
