// All questions of `tide heap`, in the order of its help; the first is the default.
#pragma once

#include <array>

#include "cli/heap_question.h"

namespace tide::cli {

extern const HeapQuestion kStatsQuestion;
extern const HeapQuestion kListQuestion;
extern const HeapQuestion kInfoQuestion;
extern const HeapQuestion kWhereQuestion;
extern const HeapQuestion kFragQuestion;
extern const HeapQuestion kCheckQuestion;
extern const HeapQuestion kDiffQuestion;
extern const HeapQuestion kThreadsQuestion;

inline constexpr std::array kHeapQuestions = {
    &kStatsQuestion, &kListQuestion,  &kInfoQuestion, &kWhereQuestion,
    &kFragQuestion,  &kCheckQuestion, &kDiffQuestion, &kThreadsQuestion,
};

}  // namespace tide::cli
