// A profile as a file: layout/profile_table.h says what is in it.
#pragma once

#include <cstddef>

#include "probe/sample_table.h"

namespace tide::probe {

// What is known of the pages of a sampled block; `page_bytes`: of the system.
using PagesOfSample = layout::SampledPages(const layout::SampledBlock& sample, size_t page_bytes);

// What is resident of it; what it pins is not known.
layout::SampledPages residency_of_sample(const layout::SampledBlock& sample, size_t page_bytes);

// False: not all could be written.
bool write_profile(SampleTable& samples, PagesOfSample* pages, int descriptor);

// To the file that `pattern` names, %p in it being the process id; what fails is a warning.
void write_profile_to(SampleTable& samples, PagesOfSample* pages, const char* pattern);

}  // namespace tide::probe
