// Sampled profiles of a program that keeps its own malloc: one allocation in so many bytes is kept
// with its call stack (probe/sample_table.h), and nothing is recorded.
//
// What serves the calls is then a function of ours in front of the one that did.
#pragma once

namespace tide::preload {

// The mean distance of samples in bytes, and the file that they are written to at the end.
inline constexpr char kSampleRateVariable[] = "TIDE_SAMPLE_RATE";
inline constexpr char kSampleFileVariable[] = "TIDE_SAMPLE_FILE";

// If the environment asks for it; find_next_functions() has been called.
void start_sampling();
bool is_sampling();
void repair_sampling_in_child();
// Writes the file, once.
void end_sampling();

}  // namespace tide::preload
