// The heap of a core, or of a live process, as a section of the page.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "report/parts.h"
#include "walk/heap.h"
#include "walk/target.h"

namespace tide::report {

Section core_section(const std::string& id, const std::string& name, const walk::Target& target,
                     std::span<const std::unique_ptr<walk::Heap>> heaps);

}  // namespace tide::report
