// All questions of `tide heap`, in the order of its help; the first is the default.
#pragma once

#include <array>

#include "cli/heap_question.h"

namespace tide::cli {

extern const HeapQuestion kStatsQuestion;
extern const HeapQuestion kListQuestion;
extern const HeapQuestion kInfoQuestion;
extern const HeapQuestion kWhereQuestion;
extern const HeapQuestion kTypesQuestion;
extern const HeapQuestion kAnalyzeQuestion;
extern const HeapQuestion kExamineQuestion;
extern const HeapQuestion kDumpQuestion;
extern const HeapQuestion kRefsQuestion;
extern const HeapQuestion kPathQuestion;
extern const HeapQuestion kLeaksQuestion;
extern const HeapQuestion kRetainedQuestion;
extern const HeapQuestion kFragQuestion;
extern const HeapQuestion kCheckQuestion;
extern const HeapQuestion kDiffQuestion;
extern const HeapQuestion kDoctorQuestion;
extern const HeapQuestion kThreadsQuestion;

inline constexpr std::array kHeapQuestions = {
    &kStatsQuestion,   &kListQuestion,     &kInfoQuestion, &kWhereQuestion, &kTypesQuestion,
    &kAnalyzeQuestion, &kExamineQuestion,  &kDumpQuestion, &kRefsQuestion,  &kPathQuestion,
    &kLeaksQuestion,   &kRetainedQuestion, &kFragQuestion, &kCheckQuestion, &kDiffQuestion,
    &kDoctorQuestion,  &kThreadsQuestion,
};

}  // namespace tide::cli
